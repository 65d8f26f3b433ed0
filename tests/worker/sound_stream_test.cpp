// Sound through a worker, against ffmpeg's samples and ffprobe's times.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/subprocess.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "worker/answer.h"
#include "worker/decode_file.h"

namespace image_engine::worker {
namespace {

std::string sound_path(const std::string& name) { return "sounds/" + name; }

struct Sound {
  double first = 0;
  std::vector<float> samples;
  SoundSummary summary;
};

Result<Sound> sound_of(Pool& pool, const std::string& name, const SoundTask& task = {}) {
  Sound sound;
  IE_TRY(LeasedFile file, LeasedFile::open(pool, sound_path(name)));
  IE_CHECK(file.start_sound({.operations = 0, .sound = task}));
  for (;;) {
    IE_TRY(const auto chunk, file.next_sound());
    if (!chunk) break;
    const auto samples = file.samples(*chunk);
    if (sound.samples.empty()) sound.first = chunk->seconds;
    EXPECT_NEAR(chunk->seconds, sound.first + static_cast<double>(sound.samples.size()) / kSoundRate, 1e-6);
    sound.samples.insert(sound.samples.end(), samples.begin(), samples.end());
  }
  sound.summary = file.sound();
  return sound;
}

TEST(SoundStream, ChunksAreTheWholeSound) {
  const auto pool = Pool::create({}).value();
  const Sound sound = sound_of(*pool, "long.m4a").value();
  EXPECT_NEAR(sound.first, 0, 1e-6);
  EXPECT_NEAR(static_cast<double>(sound.samples.size()) / kSoundRate, 100, 0.05);
  EXPECT_NEAR(sound.summary.first, sound.first, 1e-9);
  EXPECT_NEAR(sound.summary.last, static_cast<double>(sound.samples.size()) / kSoundRate, 1e-6);
  EXPECT_NEAR(sound.summary.duration, 100, 0.05);
  ASSERT_EQ(sound.summary.tracks.size(), 1U);
  EXPECT_EQ(sound.summary.tracks[0].codec, "aac");
  EXPECT_EQ(sound.summary.tracks[0].channels, 2U);
  EXPECT_EQ(sound.summary.tracks[0].sample_rate, 48000U);
  EXPECT_TRUE(sound.summary.loudness.integrated);
  EXPECT_FALSE(sound.summary.is_cut_off);
  // A part of it. AAC fills bands with noise that differs from run to run.
  const Sound part = sound_of(*pool, "long.m4a", {.from = 40, .loudness = 0, .duration = 45}).value();
  EXPECT_NEAR(part.first, 40, 1.0 / kSoundRate);
  ASSERT_EQ(part.samples.size(), 45 * kSoundRate);
  EXPECT_FALSE(part.summary.loudness.integrated);
  // The end of it, with the loudness of all.
  const Sound end = sound_of(*pool, "long.m4a", {.from = 95, .loudness = 2}).value();
  EXPECT_NEAR(end.first, 95, 1.0 / kSoundRate);
  EXPECT_NEAR(end.summary.last, sound.summary.last, 1e-6);
  EXPECT_EQ(end.summary.loudness.integrated, sound.summary.loudness.integrated);
  EXPECT_EQ(end.summary.loudness.true_peak, sound.summary.loudness.true_peak);
  const auto begin = static_cast<size_t>(std::lround((part.first - sound.first) * kSoundRate));
  for (size_t i = 0; i < part.samples.size(); i += 997)
    ASSERT_NEAR(part.samples[i], sound.samples[begin + i], 0.02) << i;
  EXPECT_EQ(pool->deaths(), 0U);
}

TEST(SoundStream, ATrackIsChosenByNumberOrLanguageOrIsTheDefault) {
  const auto pool = Pool::create({}).value();
  const auto track = [&](std::int32_t number, const char* language) {
    SoundTask task{.track = number};
    std::strncpy(task.language, language, sizeof task.language);
    return sound_of(*pool, "two_tracks.mkv", task);
  };
  const Sound by_default = track(-1, "").value();
  EXPECT_EQ(by_default.summary.track, 1U);
  ASSERT_EQ(by_default.summary.tracks.size(), 2U);
  EXPECT_EQ(by_default.summary.tracks[0].language, "eng");
  EXPECT_EQ(by_default.summary.tracks[1].language, "ger");
  EXPECT_EQ(by_default.summary.tracks[1].title, "Kommentar");
  EXPECT_TRUE(by_default.summary.tracks[1].is_default);
  EXPECT_EQ(track(0, "")->summary.track, 0U);
  for (const char* english : {"en", "eng", "EN"}) EXPECT_EQ(track(-1, english)->summary.track, 0U) << english;
  for (const char* german : {"de", "deu", "ger"}) EXPECT_EQ(track(-1, german)->summary.track, 1U) << german;
  for (const auto& missing : {track(2, ""), track(-1, "fr"), track(-1, "12345678")}) {
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
    EXPECT_NE(missing.error().message.find("1 (eng), 2 (ger, Kommentar)"), std::string::npos)
        << missing.error().message;
  }
}

TEST(SoundStream, AFileWithoutSoundIsUnsupported) {
  const auto pool = Pool::create({}).value();
  const auto silent = sound_of(*pool, "no_sound.mp4");
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(silent.error().message, "it has no audio stream");
  const auto text = sound_of(*pool, "manifest.json");
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(pool->deaths(), 0U);
}

TEST(SoundStream, OneThatIsGivenUpLeavesThePoolAtWork) {
  const auto pool = Pool::create({}).value();
  for (int i = 0; i < 3; ++i) {
    LeasedFile file = LeasedFile::open(*pool, sound_path("long.m4a")).value();
    ASSERT_OK(file.start_sound({.operations = 0}));
    ASSERT_TRUE(*file.next_sound());
  }
  EXPECT_EQ(pool->deaths(), 0U);
  EXPECT_EQ(sound_of(*pool, "stereo.wav")->summary.tracks.size(), 1U);
}

TEST(SoundStream, AChunkOutsideItsSlotEndsTheWorker) {
  const auto pool = Pool::create({.program = executable_folder() + "/bad_workers/sound_outside"}).value();
  const auto sound = sound_of(*pool, "stereo.wav");
  ASSERT_FALSE(sound);
  EXPECT_EQ(sound.error().code, ErrorCode::kCrashed);
  EXPECT_EQ(pool->deaths(), 1U);
}

// What a subverted worker may send.
class SoundChunks : public testing::Test {
 protected:
  [[nodiscard]] bool is_taken(double end = 0) const { return is_sound_of(request_, chunk_, kSlot, end); }

  static constexpr SlotRange kSlot{10'000, 3'000'000};
  Request request_{.operations = kSound};
  SoundChunk chunk_{1, kSlot.begin, 1000};
};

TEST_F(SoundChunks, GoodOnesAreTaken) { EXPECT_TRUE(is_taken()); }
TEST_F(SoundChunks, TimesRise) {
  EXPECT_TRUE(is_taken(1));
  EXPECT_FALSE(is_taken(1.1));
  chunk_.seconds = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(is_taken());
  chunk_.seconds = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(is_taken());
}
TEST_F(SoundChunks, TheyAreNotBeforeWhatWasAskedFor) {
  request_.sound.from = 1.5;
  EXPECT_FALSE(is_taken());
  request_.sound.from = 1;
  EXPECT_TRUE(is_taken());
}
TEST_F(SoundChunks, SamplesLieInTheSlot) {
  chunk_.offset = kSlot.end - 4000;
  EXPECT_TRUE(is_taken());
  chunk_.offset += 4;
  EXPECT_FALSE(is_taken());
  chunk_.offset = kSlot.begin - 4;
  EXPECT_FALSE(is_taken());
  chunk_.offset = ~0ULL - 3;
  EXPECT_FALSE(is_taken());
}
TEST_F(SoundChunks, SamplesAreFloatsAndNoMoreThanAChunkTakes) {
  chunk_.offset = kSlot.begin + 1;
  EXPECT_FALSE(is_taken());
  chunk_.offset = kSlot.begin;
  chunk_.samples = kMostChunkSamples;
  EXPECT_TRUE(is_taken());
  ++chunk_.samples;
  EXPECT_FALSE(is_taken());
}
TEST_F(SoundChunks, ASummaryMakesSenseAndWasAskedFor) {
  const auto is_summary = [&](const SoundSummary& sound) {
    Reply reply;
    reply.sound = sound;
    return is_answer_to(request_, reply, 1 << 20);
  };
  const SoundSummary good{.first = 1, .last = 2, .tracks = {{}}};
  EXPECT_TRUE(is_summary(good));
  const auto with = [&](auto change) {
    SoundSummary changed = good;
    change(changed);
    return is_summary(changed);
  };
  EXPECT_FALSE(with([](SoundSummary& s) { s.last = 0; }));
  EXPECT_FALSE(with([](SoundSummary& s) { s.track = 1; }));
  EXPECT_FALSE(with([](SoundSummary& s) { s.tracks.clear(); }));
  EXPECT_FALSE(with([](SoundSummary& s) { s.loudness.integrated = std::numeric_limits<double>::quiet_NaN(); }));
  EXPECT_FALSE(with([](SoundSummary& s) { s.loudness.clipped_seconds = -1; }));
  request_.operations = kCut;
  EXPECT_FALSE(is_summary(good));
}
TEST_F(SoundChunks, OnlyATrackThatWasAskedForIsMissing) {
  const auto code = [&] {
    Reply reply;
    reply.sound = fail(ErrorCode::kNotFound, "?");
    EXPECT_TRUE(is_answer_to(request_, reply, 1 << 20));
    return reply.sound.error().code;
  };
  EXPECT_EQ(code(), ErrorCode::kInternal);
  request_.sound.track = 1;
  EXPECT_EQ(code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace image_engine::worker
