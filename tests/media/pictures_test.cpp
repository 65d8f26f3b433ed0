// Pixels against Pillow's (see make_inputs.py for what the references are).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inputs.h"

namespace image_engine::media {
namespace {

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
      ASSERT_TRUE(decoded) << decoded.error().message;
      const auto expected = load_ppm(reference["file"]);
      EXPECT_EQ(decoded->image.width, expected.width);
      EXPECT_EQ(decoded->image.height, expected.height);
      EXPECT_LE(mean_difference(decoded->image, expected), double(reference["tolerance"]));
      EXPECT_FALSE(decoded->partial);
      EXPECT_THAT(decoded->warnings, testing::IsEmpty());
    }
  }
}

TEST(Pictures, HeadersGiveTheSizeThatDecodingGives) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  for (const auto& picture : manifest()["pictures"]) {
    const std::string name = picture["file"];
    SCOPED_TRACE(name);
    const auto file = load(name);
    const auto metadata = read_metadata(file, {});
    const auto decoded = decode(file, {.max_edge = 16});
    ASSERT_TRUE(metadata) << metadata.error().message;
    ASSERT_TRUE(decoded) << decoded.error().message;
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
