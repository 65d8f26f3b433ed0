// Pixels against Pillow's (see make_inputs.py for what the references are).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>

#include "tests/media/inputs.h"
#include "tests/support/ok.h"
#include "types/luma.h"

namespace image_engine::media {
namespace {

constexpr double kGreyLevel = 1;  // the mean distance that is allowed, of 255

TEST(Pictures, AreWithinAGreyLevelOfTheReferenceAtEverySize) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  ASSERT_GE(manifest()["pictures"].size(), 80U);
  for (const auto& picture : manifest()["pictures"]) {
    const std::string name = picture["file"];
    const auto file = load(name);
    for (const auto& reference : picture["references"]) {
      const std::uint32_t edge = reference["edge"];
      SCOPED_TRACE(name + " at " + std::to_string(edge));
      const auto decoded = decode(file, {.max_edge = edge});
      ASSERT_OK(decoded);
      const auto expected = load_ppm(reference["file"]);
      EXPECT_EQ(decoded->image.width, expected.width);
      EXPECT_EQ(decoded->image.height, expected.height);
      EXPECT_LE(mean_difference(decoded->image, expected), kGreyLevel);
      EXPECT_FALSE(decoded->partial);
      EXPECT_THAT(decoded->warnings, testing::IsEmpty());
    }
  }
}

// As `analyze` decodes, which looks at the full resolution on the way, and as all else does.
TEST(Photos, OfAllFormatsAreWithinAGreyLevelOfTheReference) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  if (manifest()["photos"].empty()) GTEST_SKIP() << "no build/samples: make setup has not run";
  ASSERT_GE(manifest()["photos"].size(), 100U);
  std::map<std::string, std::pair<double, std::string>> worst;
  std::map<std::string, int> files;
  for (const auto& photo : manifest()["photos"]) {
    const std::string name = photo["file"], format = photo["format"];
    if (files[format]++ % IE_EACH_NTH != 0) continue;
    const auto file = load(name);
    EXPECT_EQ(format, format_name(detect_format(file))) << name;
    for (const auto& reference : photo["references"]) {
      const std::uint32_t edge = reference["edge"];
      const auto expected = load_ppm(reference["file"]);
      LumaAccumulator accumulator;
      for (LumaAccumulator* luma : {static_cast<LumaAccumulator*>(nullptr), &accumulator}) {
        SCOPED_TRACE(name + " at " + std::to_string(edge) + (luma != nullptr ? " with luma" : ""));
        const auto decoded = decode(file, {.max_edge = edge, .luma = luma});
        ASSERT_OK(decoded);
        const double difference = mean_difference(decoded->image, expected);
        EXPECT_LE(difference, kGreyLevel);
        EXPECT_FALSE(decoded->partial);
        worst[format] = std::max(worst[format], {difference, name + " at " + std::to_string(edge)});
      }
    }
  }
  for (const auto* format : {"jpeg", "png", "webp", "gif", "tiff", "bmp", "heif", "avif", "jxl", "dng"})
    EXPECT_GE(files[format], 5) << format;
  for (const auto& [format, entry] : worst)
    std::cout << format << ": " << files[format] << " photos, worst " << entry.first << " (" << entry.second << ")\n";
}

TEST(Pictures, HeadersGiveTheSizeThatDecodingGives) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  for (const auto& picture : manifest()["pictures"]) {
    const std::string name = picture["file"];
    SCOPED_TRACE(name);
    const auto file = load(name);
    const auto metadata = read_metadata(file, {});
    const auto decoded = decode(file, {.max_edge = 16});
    ASSERT_OK(metadata);
    ASSERT_OK(decoded);
    EXPECT_EQ(metadata->width, decoded->full_width);
    EXPECT_EQ(metadata->height, decoded->full_height);
    const auto full = load_ppm(picture["references"][0]["file"]);
    EXPECT_EQ(metadata->width, full.width);
    EXPECT_EQ(metadata->height, full.height);
    EXPECT_EQ(name.substr(0, name.find('_') == name.npos ? 0 : name.find('_')),
              name.find('_') == name.npos ? "" : format_name(metadata->format));
  }
}

TEST(Pictures, AnimationsGiveTheirFirstFrameAndSaySo) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  for (const auto* name : {"gif_animated.gif", "webp_animated.webp"}) {
    EXPECT_TRUE(decode(load(name), {})->animated) << name;
    EXPECT_EQ(read_metadata(load(name), {})->frames, 2U) << name;
  }
  EXPECT_FALSE(decode(load("gif_0.gif"), {})->animated);
}

TEST(Pictures, HeadersTellDepthAlphaAndProfile) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  EXPECT_EQ(read_metadata(load("png_16.png"), {})->bit_depth, 16U);
  EXPECT_EQ(read_metadata(load("png_RGB.png"), {})->bit_depth, 8U);
  EXPECT_TRUE(read_metadata(load("png_RGBA.png"), {})->has_alpha);
  EXPECT_FALSE(read_metadata(load("png_RGB.png"), {})->has_alpha);
  EXPECT_TRUE(read_metadata(load("jpeg_progressive.jpg"), {})->progressive);
  EXPECT_FALSE(read_metadata(load("jpeg_restart.jpg"), {})->progressive);
  EXPECT_THAT(read_metadata(load("jpeg_icc_p3.jpg"), {})->colour_profile, testing::HasSubstr("P3"));
}

TEST(Pictures, APictureIsNeverEnlarged) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto decoded = decode(load("jpeg_8x8.jpg"), {.max_edge = 256});
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->image.width, 8U);
}

TEST(Pictures, EncodedJpegComesBackAlmostTheSame) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto image = load_ppm("jpeg_0_95_0.jpg.0.ppm");
  const auto jpeg = encode_jpeg({image.width, image.height, image.pixels}, 95);
  ASSERT_TRUE(jpeg);
  const auto back = decode(*jpeg, {});
  ASSERT_TRUE(back);
  EXPECT_LT(mean_difference(back->image, image), 4);
  EXPECT_EQ(read_metadata(*jpeg, {})->width, image.width);
}

TEST(Pictures, EncodingRefusesWhatAJpegCannotBe) {
  EXPECT_EQ(encode_jpeg({0, 0, {}}, 80).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(encode_jpeg({2, 2, {}}, 80).error().code, ErrorCode::kInvalidArgument);
  const std::vector<std::uint8_t> pixel(3);
  EXPECT_EQ(encode_jpeg({1, 1, pixel}, 0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(encode_jpeg({1, 1, pixel}, 101).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace image_engine::media
