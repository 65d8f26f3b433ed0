// Frames against ffprobe's times and ffmpeg's conversions.
#include "media/video_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "media/container_end.h"
#include "tests/media/inputs.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"

namespace image_engine::media {
namespace {

constexpr const char* kFrames = "video_frames";

const nlohmann::json& clips() {
  static const nlohmann::json all = json_of(std::string(kFrames) + "/manifest.json");
  return all;
}

Buffer clip(const std::string& name) { return load(name, kFrames); }
Image picture_of(const std::string& name) { return load_ppm(name, kFrames); }

VideoReader reader_of_clip(const Buffer& file, VideoReaderOptions options = {}) {
  Result<VideoReader> reader = VideoReader::open(file, options);
  EXPECT_TRUE(reader) << (reader ? "" : reader.error().message);
  return std::move(*reader);
}

std::vector<double> all_times(VideoReader& reader) {
  std::vector<double> times;
  for (auto frame = reader.next(); frame && *frame; frame = reader.next()) times.push_back((*frame)->seconds);
  return times;
}

TEST(VideoFrames, TimesAreFfprobes) {
  ASSERT_GE(clips().size(), 15U) << "tests/media/make_video_frames.py has not run";
  for (const auto& entry : clips()) {
    SCOPED_TRACE(entry["file"]);
    const Buffer file = clip(entry["file"]);
    VideoReader reader = reader_of_clip(file);
    const std::vector<double> times = all_times(reader);
    ASSERT_EQ(times.size(), entry["times"].size());
    for (size_t i = 0; i < times.size(); ++i) {
      if (entry["times"][i].is_null()) continue;
      EXPECT_NEAR(times[i], entry["times"][i].get<double>(), 1e-5) << i;
    }
    EXPECT_TRUE(std::ranges::is_sorted(times));
    EXPECT_THAT(reader.warnings(), testing::IsEmpty());
  }
}

TEST(VideoFrames, PicturesAreFfmpegs) {
  for (const auto& entry : clips()) {
    SCOPED_TRACE(entry["file"]);
    const Buffer file = clip(entry["file"]);
    VideoReader reader = reader_of_clip(file);
    std::size_t index = 0;
    for (const auto& expected : entry["frames"]) {
      for (; index <= expected["index"]; ++index) ASSERT_TRUE(*reader.next());
      const Result<Image> picture = reader.picture(0);
      ASSERT_OK(picture);
      EXPECT_LE(mean_difference(*picture, picture_of(expected["file"])), entry["tolerance"].get<double>())
          << index - 1 << ": " << picture->width << " × " << picture->height;
      EXPECT_EQ(reader.full_size(), (Size{picture->width, picture->height}));
    }
  }
}

TEST(VideoFrames, AnyTimeIsTheFrameThatReadingInOrderShowsThen) {
  std::mt19937 random(7);
  for (const auto& entry : clips()) {
    SCOPED_TRACE(entry["file"]);
    const Buffer file = clip(entry["file"]);
    VideoReader in_order = reader_of_clip(file), seeking = reader_of_clip(file);
    std::vector<std::pair<double, Image>> frames;
    while (const auto frame = *in_order.next()) frames.emplace_back(frame->seconds, *in_order.picture(64));
    std::uniform_real_distribution<double> anywhere(frames.front().first, frames.back().first + 0.1);
    for (int i = 0; i < 30; ++i) {
      const double at = anywhere(random);
      const auto shown =
          std::prev(std::ranges::find_if(frames, [&](const auto& frame) { return frame.first > at + 5e-4; }));
      ASSERT_OK(seeking.seek(at));
      const auto found = seeking.next();
      ASSERT_OK(found);
      ASSERT_TRUE(*found) << at;
      EXPECT_NEAR((*found)->seconds, shown->first, 1e-5) << at;
      EXPECT_EQ(mean_difference(*seeking.picture(64), shown->second), 0) << at;
    }
  }
}

TEST(VideoFrames, KeyFramesAloneAreThoseOfTheWhole) {
  const Buffer file = clip("plain.mp4");
  VideoReader whole = reader_of_clip(file), keys = reader_of_clip(file, {.key_frames_only = true});
  std::vector<double> expected;
  while (const auto frame = *whole.next())
    if (frame->is_key) expected.push_back(frame->seconds);
  EXPECT_GE(expected.size(), 2U);
  EXPECT_EQ(all_times(keys), expected);
}

TEST(VideoFrames, ReducedOnesAreTheMeanColoursOfTheWhole) {
  for (const auto& entry : clips()) {
    const std::string name = entry["file"];
    if (name == "pq.mp4" || name == "hlg.mp4" || name == "interlaced.mp4")
      continue;  // others have what is to be compared
    SCOPED_TRACE(name);
    const Buffer file = clip(name);
    VideoReader reader = reader_of_clip(file);
    ASSERT_TRUE(*reader.next());
    constexpr Size kSize{64, 36};
    Image reduced{kSize.width, kSize.height, std::vector<std::uint8_t>(size_t{64} * 36 * 3)};
    ASSERT_OK(reader.reduce(kSize, reduced.pixels));
    // All of the frame as stored, by mean; turned ones have the same mean.
    const Image whole = *reader.picture(0);
    for (size_t channel = 0; channel < 3; ++channel) {
      const auto mean = [&](const Image& image) {
        double sum = 0;
        for (size_t i = channel; i < image.pixels.size(); i += 3) sum += image.pixels[i];
        return sum * 3 / static_cast<double>(image.pixels.size());
      };
      EXPECT_NEAR(mean(reduced), mean(whole), 4) << channel;
    }
  }
}

TEST(VideoFrames, ThreadsChangeNothing) {
  const Buffer file = clip("b_frames.mkv");
  VideoReader one = reader_of_clip(file), two = reader_of_clip(file, {.threads = 2});
  while (const auto frame = *one.next()) {
    const auto other = *two.next();
    ASSERT_TRUE(other);
    EXPECT_EQ(frame->seconds, other->seconds);
    EXPECT_EQ(one.picture(0)->pixels, two.picture(0)->pixels);
  }
}

TEST(VideoFrames, OfACutFileAreAsManyAsItHolds) {
  const Buffer whole = clip("b_frames.mkv");
  VideoReader all = reader_of_clip(whole);
  const std::size_t frames = all_times(all).size();
  const Buffer half(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2));
  VideoReader reader = reader_of_clip(half);
  const std::size_t found = all_times(reader).size();
  EXPECT_GT(found, frames / 4);
  EXPECT_LT(found, frames);
}

TEST(VideoFrames, WhatIsNoVideoIsAnError) {
  const auto code_of = [](const Buffer& file, VideoReaderOptions options = {}) {
    Result<VideoReader> reader = VideoReader::open(file, options);
    if (!reader) return reader.error().code;
    const auto frame = reader->next();
    return frame ? ErrorCode::kInternal : frame.error().code;
  };
  const Buffer whole = clip("plain.mp4");
  const Buffer no_index(whole.begin(),
                        whole.begin() + static_cast<std::ptrdiff_t>(whole.size() * 2 / 3));  // moov is last
  EXPECT_EQ(code_of(no_index), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of(load("v.mp4"), {.max_pixels = 100}), ErrorCode::kTooLarge);
  const std::string text = "a text file that is named like a video\n";
  Buffer named(text.size());
  std::memcpy(named.data(), text.data(), text.size());
  EXPECT_EQ(code_of(named), ErrorCode::kUnsupported);
  EXPECT_EQ(code_of(load("sound.m4a")), ErrorCode::kUnsupported);
}

TEST(HdrPhotos, HaveTheColoursOfFfmpegsToneMapping) {
  const nlohmann::json photos = json_of(std::string(kFrames) + "/hdr_photos.json");
  ASSERT_EQ(photos.size(), 2U);
  for (const nlohmann::json& photo : photos) {
    const auto name = photo.at("file").get<std::string>();
    const Buffer file = clip(name);
    const auto decoded = decode(file, {});
    ASSERT_TRUE(decoded) << name << ": " << decoded.error().message;
    EXPECT_LE(mean_difference(decoded->image, picture_of(photo.at("picture"))), 2.0) << name;
  }
}

// A recording that was cut off lacks what its container declares; the rest of these clips is whole.
TEST(ContainerEnd, IsMissingWhereAFileIsCutOff) {
  for (const nlohmann::json& facts : clips()) {
    const auto name = facts.at("file").get<std::string>();
    const Buffer whole = clip(name);
    const MediaFormat format = detect_format(whole);
    EXPECT_EQ(missing_bytes(whole, format), 0U) << name;
    const bool declares =
        format == MediaFormat::kMp4 || format == MediaFormat::kMatroska || format == MediaFormat::kAvi;
    const Bytes part = Bytes(whole).first(whole.size() * 2 / 3);
    EXPECT_EQ(missing_bytes(part, format) > 0, declares) << name;
    EXPECT_LE(missing_bytes(part, format), whole.size() - part.size()) << name;
    for (const std::size_t size : {0UL, 1UL, 7UL, 8UL, 15UL, 40UL}) missing_bytes(Bytes(whole).first(size), format);
  }
}

TEST(ContainerEnd, IsOpenWhereNoSizeIsStated) {
  const auto bytes = [](std::string_view text) {
    return Buffer(reinterpret_cast<const std::byte*>(text.data()),
                  reinterpret_cast<const std::byte*>(text.data()) + text.size());
  };
  using namespace std::string_view_literals;
  const std::string_view kEbml = "\x1A\x45\xDF\xA3\x80\x18\x53\x80\x67"sv;
  EXPECT_EQ(missing_bytes(bytes(std::string(kEbml) + "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF live"), MediaFormat::kMatroska),
            0U);
  EXPECT_EQ(missing_bytes(bytes(std::string(kEbml) + "\x8A live"), MediaFormat::kMatroska), 5U);
  EXPECT_EQ(missing_bytes(bytes("RIFF\0\0\0\0AVI of a writer that was killed"sv), MediaFormat::kAvi), 0U);
  EXPECT_EQ(missing_bytes(bytes("\0\0\0\x08"
                                "free"
                                "\0\0\0\0mdat and so on"sv),
                          MediaFormat::kMp4),
            0U);
  EXPECT_EQ(missing_bytes(bytes("\0\0\0\x08"
                                "free"
                                "\0\0\x20\0mdat and so on"sv),
                          MediaFormat::kMp4),
            0x2000U - 18);
  EXPECT_EQ(missing_bytes(bytes("\0\0\0\x08"
                                "free"
                                "\0\0\x20\0SEFT, appended"sv),
                          MediaFormat::kMp4),
            0U);
}

}  // namespace
}  // namespace image_engine::media
