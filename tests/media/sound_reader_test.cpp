// Samples, times and loudness of sound, against ffmpeg and ffprobe.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "media/sound_reader.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"

namespace image_engine::media {
namespace {

constexpr double kRate = kModelSoundRate;

std::string bytes_of_sound(const std::string& name) { return image_engine::bytes_of("sounds/" + name); }
Bytes sound_bytes(const std::string& text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

struct Heard {
  double first = 0;
  std::vector<float> samples;
  Loudness loudness;
  std::vector<std::string> warnings;
  bool is_cut_off = false;

  [[nodiscard]] double end() const { return first + static_cast<double>(samples.size()) / kRate; }
  [[nodiscard]] std::span<const float> between(double from, double to) const {
    const auto at = [&](double time) {
      return static_cast<size_t>(std::clamp((time - first) * kRate, 0.0, static_cast<double>(samples.size())));
    };
    return std::span(samples).subspan(at(from), at(to) - at(from));
  }
};

Result<Heard> hear(Bytes file, const SoundReaderOptions& options = {}) {
  Heard heard;
  IE_TRY(SoundReader reader, SoundReader::open(file, options));
  std::vector<float> part(7777);
  for (bool is_end = false; !is_end;) {
    IE_TRY(const auto piece, reader.read(part));
    is_end = piece.is_end;
    if (heard.samples.empty()) heard.first = piece.seconds;
    EXPECT_NEAR(piece.seconds, heard.end(), 1e-6);
    heard.samples.insert(heard.samples.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(piece.samples));
  }
  for (const float sample : heard.samples)
    if (!(std::abs(sample) <= 1)) ADD_FAILURE() << sample;
  heard.loudness = reader.loudness();
  heard.warnings = reader.warnings();
  heard.is_cut_off = reader.is_cut_off();
  return heard;
}

Heard hear(const std::string& name, const SoundReaderOptions& options = {}) {
  const std::string file = bytes_of_sound(name);
  const auto heard = hear(sound_bytes(file), options);
  EXPECT_TRUE(heard) << name << ": " << (heard ? "" : heard.error().message);
  return heard ? *heard : Heard{};
}

double rms(std::span<const float> samples) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample) * sample;
  return samples.empty() ? 0 : std::sqrt(sum / static_cast<double>(samples.size()));
}

// Of the difference; the shorter one counts.
double distance(std::span<const float> one, std::span<const float> other) {
  std::vector<float> difference(std::min(one.size(), other.size()));
  for (size_t i = 0; i < difference.size(); ++i) difference[i] = one[i] - other[i];
  return rms(difference);
}

// By the crossings of zero, per second.
double frequency(std::span<const float> samples) {
  size_t crossings = 0;
  for (size_t i = 1; i < samples.size(); ++i) crossings += (samples[i - 1] < 0) != (samples[i] < 0) ? 1 : 0;
  return static_cast<double>(crossings) / 2 * kRate / static_cast<double>(samples.size());
}

std::vector<float> reference(const std::string& name) {
  const std::string bytes = bytes_of_sound(name);
  std::vector<std::int16_t> samples(bytes.size() / sizeof(std::int16_t));
  std::memcpy(samples.data(), bytes.data(), samples.size() * sizeof(std::int16_t));
  std::vector<float> floats(samples.size());
  std::ranges::transform(samples, floats.begin(),
                         [](std::int16_t sample) { return static_cast<float>(sample) / 32768; });
  return floats;
}

nlohmann::json compared_sounds() {
  nlohmann::json sounds = json_of("sounds/manifest.json");
  EXPECT_GE(sounds.size(), 15U) << "tests/media/make_sounds.py has not run, or this ffmpeg makes few of them";
  return sounds;
}

TEST(SoundReader, SamplesAndTimesAreFfmpegs) {
  for (const auto& sound : compared_sounds()) {
    const std::string name = sound["file"];
    SCOPED_TRACE(name);
    const Heard heard = hear(name);
    const std::vector<float> expected = reference(sound["samples"]);
    EXPECT_NEAR(heard.first, sound["first"].get<double>(), 1e-5);
    EXPECT_NEAR(static_cast<double>(heard.samples.size()), static_cast<double>(expected.size()), 3);
    EXPECT_GT(rms(expected), 0.02);
    EXPECT_LT(distance(heard.samples, expected), 2e-3);
    EXPECT_TRUE(heard.warnings.empty());
    EXPECT_FALSE(heard.is_cut_off);
  }
}

TEST(SoundReader, LoudnessIsThatOfFfmpegsMeter) {
  for (const auto& sound : compared_sounds()) {
    const std::string name = sound["file"];
    SCOPED_TRACE(name);
    const Loudness loudness = hear(name, {.loudness = true}).loudness;
    ASSERT_TRUE(loudness.integrated && loudness.true_peak);
    EXPECT_NEAR(*loudness.integrated, sound["integrated"].get<double>(), 0.15);
    EXPECT_NEAR(loudness.range, sound["range"].get<double>(), 0.25);
    EXPECT_NEAR(*loudness.true_peak, sound["true_peak"].get<double>(), 0.3);
    EXPECT_LT(loudness.clipped_seconds, 0.001);
  }
}

TEST(SoundReader, OneThatBeginsInTheMiddleHasTheSamplesOfAWholeRun) {
  struct Case {
    const char* name;
    double most;  // RMS of the difference
  };
  for (const auto& [name, most] : {Case{"stereo.wav", 1e-6},
                                   {"float_44100.wav", 1e-6},
                                   {"odd_rate.wav", 1e-6},
                                   {"deep.flac", 1e-6},
                                   {"surround.flac", 1e-6},
                                   {"music.mp3", 1e-4},
                                   {"music.m4a", 5e-3},
                                   {"music.ogg", 1e-4},
                                   {"music.opus", 5e-3},
                                   {"film.mp4", 5e-3},
                                   {"film.ts", 1e-4},
                                   {"music.aac", 5e-3},
                                   {"late.mp4", 5e-3}}) {
    SCOPED_TRACE(name);
    const Heard whole = hear(name);
    for (const double from : {0.01, 0.3, 2.5, 4.123456, 7.9}) {
      SCOPED_TRACE(from);
      const Heard part = hear(name, {.from = whole.first + from});
      ASSERT_FALSE(part.samples.empty());
      EXPECT_GE(part.first, whole.first + from - 1e-6);
      EXPECT_LT(part.first, whole.first + from + 1 / kRate);
      EXPECT_NEAR(part.end(), whole.end(), 2 / kRate);
      const auto at = static_cast<size_t>(std::lround((part.first - whole.first) * kRate));
      ASSERT_LT(at, whole.samples.size());
      EXPECT_LT(distance(part.samples, std::span(whole.samples).subspan(at)), most);
    }
  }
}

TEST(SoundReader, OneThatBeginsInTheMiddleIsInTimeWhereTimesAreRounded) {
  for (const char* name : {"film.mkv", "film.webm", "film.avi", "film.mpg", "late.mkv", "music.wma"}) {
    SCOPED_TRACE(name);
    const Heard whole = hear(name);
    for (const double from : {0.3, 4.123456, 7.5}) {
      SCOPED_TRACE(from);
      const double begin = whole.first + from;
      const Heard part = hear(name, {.from = begin});
      EXPECT_NEAR(part.first, begin, 1.5 / kRate);
      EXPECT_NEAR(part.end(), whole.end(), 0.03);
      EXPECT_NEAR(frequency(part.between(begin + 0.05, begin + 0.4)),
                  frequency(whole.between(begin + 0.05, begin + 0.4)), 8);
    }
  }
}

TEST(SoundReader, ADurationIsWhatComesAtMost) {
  const Heard part = hear("stereo.wav", {.from = 2, .duration = 1.5, .loudness = true});
  EXPECT_EQ(part.samples.size(), 24000U);
  EXPECT_DOUBLE_EQ(part.first, 2);
  EXPECT_TRUE(part.loudness.integrated);
  EXPECT_TRUE(hear("stereo.wav", {.from = 20}).samples.empty());
}

TEST(SoundReader, AGapIsSilence) {
  const Heard heard = hear("gap.mkv"), whole = hear("before_gap.wav");
  EXPECT_NEAR(heard.end(), 8, 0.01);
  EXPECT_LT(rms(heard.between(2.05, 4.45)), 1e-6);
  EXPECT_LT(distance(heard.between(0.1, 1.9), whole.between(0.1, 1.9)), 1e-5);
  // Times of Matroska are milliseconds: the same sound within them.
  EXPECT_NEAR(rms(heard.between(4.6, 7.9)), rms(whole.between(4.6, 7.9)), 1e-3);
  EXPECT_NEAR(frequency(heard.between(5, 5.5)), frequency(whole.between(5, 5.5)), 4);
  const Heard part = hear("gap.mkv", {.from = 3});
  EXPECT_NEAR(part.first, 3, 1 / kRate);
  EXPECT_LT(rms(part.between(3, 4.45)), 1e-6);
  EXPECT_NEAR(part.end(), heard.end(), 0.01);
}

TEST(SoundReader, WhatComesTwiceIsDropped) {
  // Three seconds from 0, and eight from 2 on.
  const Heard heard = hear("overlap.ts"), head = hear("head.ts"), tail = hear("tail.ts");
  EXPECT_NEAR(heard.end() - heard.first, 10, 0.1);
  EXPECT_LT(distance(heard.between(head.first, head.first + 2.9), head.between(head.first, head.first + 2.9)), 1e-3);
  const double seam = heard.first + 3.2;
  EXPECT_NEAR(frequency(heard.between(seam, seam + 1)), frequency(tail.between(tail.first + 1.2, tail.first + 2.2)),
              10);
}

TEST(SoundReader, RateAndChannelsMayChange) {
  const Heard heard = hear("changing.mp3", {.loudness = true});
  EXPECT_NEAR(heard.end() - heard.first, 6, 0.3);
  EXPECT_NEAR(frequency(heard.between(heard.first + 0.5, heard.first + 1.5)), 300, 3);
  EXPECT_NEAR(frequency(heard.between(heard.first + 2.5, heard.first + 3.5)), 600, 6);
  EXPECT_NEAR(frequency(heard.between(heard.first + 4.7, heard.first + 5.7)), 300, 3);
  EXPECT_TRUE(heard.loudness.integrated);
}

TEST(SoundReader, ChannelsWithoutAPlaceAreAveraged) {
  const Heard heard = hear("many_channels.wav", {.loudness = true});
  ASSERT_EQ(heard.samples.size(), 32000U);
  for (size_t i = 0; i < heard.samples.size(); i += 101) {
    double sum = 0;
    for (int channel = 0; channel < 48; ++channel)
      sum += 0.2 * std::sin(2 * M_PI * (200 + 13 * channel) * static_cast<double>(i) / kRate);
    ASSERT_NEAR(heard.samples[i], sum / 48, 1e-3) << i;
  }
}

TEST(SoundReader, DamagedPacketsAreLeftOutAndTimesStay) {
  const Heard damaged = hear("damaged.m4a"), whole = hear("music.m4a");
  EXPECT_FALSE(damaged.warnings.empty());
  EXPECT_NEAR(damaged.end(), whole.end(), 0.05);
  EXPECT_NEAR(frequency(damaged.between(7, 7.5)), frequency(whole.between(7, 7.5)), 10);
  EXPECT_LT(distance(damaged.between(0.5, 1.5), whole.between(0.5, 1.5)), 5e-3);
  // MP3 has no times: what is lost is missing.
  EXPECT_NEAR(hear("damaged.mp3").end(), hear("music.mp3").end(), 0.5);
}

TEST(SoundReader, AFileThatEndsEarlySaysSo) {
  for (const char* name : {"cut_off.mkv", "cut_off.wav"}) {
    const Heard heard = hear(name);
    EXPECT_TRUE(heard.is_cut_off) << name;
    EXPECT_GT(heard.samples.size(), 2 * kModelSoundRate) << name;
  }
}

TEST(SoundReader, ClippingIsTimeAtFullScale) {
  for (const char* name : {"clipped.wav", "clipped.flac"}) {
    const Loudness loudness = hear(name, {.loudness = true}).loudness;
    EXPECT_NEAR(loudness.clipped_seconds, 0.5, 0.001) << name;
  }
}

TEST(SoundReader, SilenceHasNeitherLoudnessNorPeak) {
  const Heard heard = hear("silent.wav", {.loudness = true});
  EXPECT_EQ(heard.samples.size(), 3 * kModelSoundRate);
  EXPECT_EQ(rms(heard.samples), 0);
  EXPECT_FALSE(heard.loudness.integrated);
  EXPECT_FALSE(heard.loudness.true_peak);
  EXPECT_EQ(heard.loudness.clipped_seconds, 0);
}

TEST(SoundReader, AnEmptyOneHasNoSamples) {
  const Heard heard = hear("empty.wav", {.loudness = true});
  EXPECT_TRUE(heard.samples.empty());
  EXPECT_FALSE(heard.loudness.integrated);
}

TEST(SoundReader, WhatIsNoNumberIsSilenceAndSpoilsNothing) {
  const Heard heard = hear("loud.wav", {.loudness = true});
  EXPECT_LT(rms(heard.between(1.05, 1.95)), 1e-6);
  EXPECT_NEAR(rms(heard.between(2.05, 2.95)), 1, 1e-3);
  EXPECT_NEAR(rms(heard.between(3.1, 3.9)), 0.2 / std::sqrt(2.0), 1e-3);
  ASSERT_TRUE(heard.loudness.integrated && heard.loudness.true_peak);
}

TEST(SoundReader, OtherFilesAreNoSound) {
  const std::string text = "this is a text, and no sound at all", picture = "\xff\xd8\xff\xe0 not even a photo";
  for (const std::string& file : {text, picture}) {
    const auto heard = hear(sound_bytes(file));
    ASSERT_FALSE(heard);
    EXPECT_EQ(heard.error().code, ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace image_engine::media
