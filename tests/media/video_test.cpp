// Container metadata against ffprobe's.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/media/inputs.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"

namespace image_engine::media {
namespace {

TEST(Videos, AgreeWithFfprobe) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  ASSERT_GE(manifest()["videos"].size(), 8U);
  for (const auto& video : manifest()["videos"]) {
    const std::string name = video["file"];
    SCOPED_TRACE(name);
    const auto metadata = read_metadata(load(name), {});
    ASSERT_OK(metadata);
    ASSERT_TRUE(metadata->video);
    const auto& probe = video["ffprobe"];
    const double duration = std::stod(std::string(probe["format"]["duration"]));
    EXPECT_NEAR(metadata->video->duration, duration, 0.1);
    EXPECT_NEAR(metadata->video->frame_rate, 25, 0.6);
    const bool turned = name == "v_turned.mp4";
    EXPECT_EQ(metadata->width, turned ? 180U : 320U);
    EXPECT_EQ(metadata->height, turned ? 320U : 180U);
    for (const auto& stream : probe["streams"]) {
      const std::string type = stream["codec_type"];
      if (type == "video") {
        EXPECT_EQ(metadata->video->video_codec, std::string(stream["codec_name"]));
      }
      if (type == "audio") {
        EXPECT_EQ(metadata->video->audio_codec, std::string(stream["codec_name"]));
      }
    }
  }
}

TEST(Videos, TimeAndPlaceAreTheContainers) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto metadata = read_metadata(load("v.mp4"), {});
  ASSERT_TRUE(metadata);
  ASSERT_TRUE(metadata->taken);
  EXPECT_EQ(metadata->taken->local, "2024-06-01T08:22:03");
  EXPECT_EQ(metadata->taken->offset_minutes, 0);
  ASSERT_TRUE(metadata->gps);
  EXPECT_NEAR(metadata->gps->latitude, 48.1372, 1e-4);
  EXPECT_NEAR(metadata->gps->longitude, 11.5755, 1e-4);
  EXPECT_EQ(metadata->title, "A clip");
  EXPECT_EQ(metadata->orientation, 1U);
}

// ffprobe's rotation is counter-clockwise, in degrees; EXIF's 6 asks for a quarter clockwise, 8 for one against it.
TEST(Videos, ATurnIsAnExifOrientation) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  for (const auto& video : manifest()["videos"]) {
    if (video["file"] != "v_turned.mp4") continue;
    const int turn = video["ffprobe"]["streams"][0]["side_data_list"][0]["rotation"];
    ASSERT_EQ(std::abs(turn), 90);
    EXPECT_EQ(read_metadata(load("v_turned.mp4"), {})->orientation, turn == 90 ? 8U : 6U);
  }
}

TEST(Videos, SoundAloneIsNoVideo) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  for (const auto* name : {"sound.ogg", "sound.wma", "sound.m4a"}) {
    EXPECT_EQ(media_kind(detect_format(load(name))), MediaKind::kAudio) << name;
    const auto metadata = read_metadata(load(name), {});
    ASSERT_OK(metadata);
    EXPECT_FALSE(metadata->video);
    EXPECT_EQ(decode(load(name), {.at = 0.0}).error().code, ErrorCode::kUnsupported) << name;
  }
}

TEST(Videos, AreNotDecodedAsPictures) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  EXPECT_EQ(decode(load("v.mp4"), {}).error().code, ErrorCode::kUnsupported);
}

// ffmpeg, which has the decoder that we have not, shows what was put in.
TEST(VideoClip, ShowsThePictureForASecond) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  if (std::system("ffmpeg -version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no ffmpeg program";
  const Image image = load_ppm("jpeg_0_95_0.jpg.0.ppm");
  for (const std::uint32_t cut : {0U, 1U}) {  // odd edges lose a row and a column
    const std::uint32_t width = image.width - cut, height = image.height - cut;
    Image shown{width / 2 * 2, height / 2 * 2, {}}, given{width, height, {}};
    for (Image* part : {&shown, &given})
      for (std::uint32_t y = 0; y < part->height; ++y) {
        const auto* row = &image.pixels[std::size_t{y} * image.width * 3];
        part->pixels.insert(part->pixels.end(), row, row + std::size_t{part->width} * 3);
      }
    const auto clip = encode_mp4({width, height, given.pixels});
    ASSERT_OK(clip);
    std::ofstream(std::string(kInputs) + "/film.mp4", std::ios::binary)
        .write(reinterpret_cast<const char*>(clip->data()), static_cast<std::streamsize>(clip->size()));
    ASSERT_EQ(std::system("cd media_inputs && ffmpeg -v error -y -i film.mp4 film.ppm && "
                          "ffprobe -v error -of json -show_streams -show_format -count_frames film.mp4 >film.json"),
              0);
    EXPECT_LT(mean_difference(load_ppm("film.ppm"), shown), 3);
    const auto probe = json_of(std::string(kInputs) + "/film.json");
    const auto& stream = probe["streams"].at(0);
    EXPECT_EQ(probe["streams"].size(), 1U);
    EXPECT_EQ(stream["codec_name"], "h264");
    EXPECT_EQ(stream["nb_read_frames"], "1");
    EXPECT_EQ(stream["width"], shown.width);
    EXPECT_EQ(std::stod(stream["duration"].get<std::string>()), 1);
    EXPECT_FALSE(probe["format"].value("tags", nlohmann::json::object()).contains("encoder"));
    EXPECT_EQ(read_metadata(*clip, {})->width, shown.width);
  }
}

TEST(VideoClip, RefusesWhatItCannotShow) {
  const std::vector<std::uint8_t> pixels(300);
  EXPECT_EQ(encode_mp4({0, 0, {}}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(encode_mp4({1, 10, pixels}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(encode_mp4({100, 100, pixels}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(encode_mp4({2, 2, pixels}));
}

}  // namespace
}  // namespace image_engine::media
