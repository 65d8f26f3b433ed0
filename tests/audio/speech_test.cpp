// Speech against what others hear in the same recordings: the ranges of Silero's own Python code
// (tests/golden/silero_vad.json), the words and times of faster-whisper (tests/golden/whisper_words.json), and what
// Dickens wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "audio/transcriber.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"

namespace image_engine::audio {
namespace {

const std::string kRoot = IE_SOURCE_DIR;

std::vector<float> recording(const std::string& name) {
  const std::string bytes = bytes_of("audio_speech/" + name + ".f32");
  std::vector<float> samples(bytes.size() / sizeof(float));
  std::memcpy(samples.data(), bytes.data(), bytes.size());
  return samples;
}

std::shared_ptr<const infer::Session> installed(const std::string& file) {
  Result<std::unique_ptr<infer::Session>> session = infer::Session::create(kRoot + "/build/models/" + file, {});
  return session ? std::shared_ptr<const infer::Session>(*std::move(session)) : nullptr;
}

// The words of A Tale of Two Cities (1859) that are read in two_cities.wav.
constexpr char kDickens[] =
    "it was the best of times it was the worst of times it was the age of wisdom it was the age of foolishness it was "
    "the "
    "epoch of belief it was the epoch of incredulity it was the season of light it was the season of darkness it was "
    "the "
    "spring of hope it was the winter of despair we had everything before us we had nothing before us we were all "
    "going "
    "direct to heaven we were all going direct the other way in short the period was so far like the present period "
    "that "
    "some of its noisiest authorities insisted on its being received for good or for evil in the superlative degree of "
    "comparison only";

std::vector<std::string> words_in(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (c == ' ' && !word.empty()) {
      words.push_back(word);
      word.clear();
    }
  }
  return words;
}

// Words replaced, left out and added.
std::size_t errors_between(const std::vector<std::string>& one, const std::vector<std::string>& other) {
  std::vector<std::size_t> row(other.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= one.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j < row.size(); ++j) {
      const std::size_t replaced = diagonal + (one[i - 1] == other[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

TEST(SpeechRanges, NoiseOfAQuarterOfASecondIsNoSpeech) {
  SpeechRanges ranges;
  for (int i = 0; i < 40; ++i) ranges.add(i >= 10 && i < 17 ? 0.9F : 0.1F);  // 7 frames: 224 ms
  ranges.finish(40 * SpeechRanges::kFrame);
  EXPECT_TRUE(ranges.take().empty());
}

TEST(SpeechRanges, AShortPauseEndsNone) {
  SpeechRanges ranges;
  for (int i = 0; i < 60; ++i) ranges.add((i >= 10 && i < 20) || (i >= 22 && i < 40) ? 0.9F : 0.1F);
  ranges.finish(60 * SpeechRanges::kFrame);
  constexpr std::uint64_t kExtension = 480;
  EXPECT_THAT(ranges.take(), testing::ElementsAre(SampleRange{10 * 512 - kExtension, 40 * 512 + kExtension}));
}

TEST(SpeechRanges, BetweenTheThresholdsSpeechGoesOnAndDoesNotBegin) {
  SpeechRanges ranges;
  for (int i = 0; i < 30; ++i) ranges.add(i == 15 ? 0.6F : 0.4F);
  EXPECT_EQ(ranges.open(), 15 * 512U - 480);
  ranges.finish(30 * 512);
  EXPECT_THAT(ranges.take(), testing::ElementsAre(SampleRange{15 * 512 - 480, 30 * 512}));
}

TEST(SpeechWindows, AreNotJoinedOverALongPauseNorLongerThanTheModelHears) {
  SpeechWindows windows;
  const auto at = [](double seconds) { return static_cast<std::uint64_t>(seconds * kSampleRate); };
  windows.add({at(1), at(5)});
  windows.add({at(5.5), at(9)});
  windows.add({at(12), at(30)});
  windows.add({at(30.5), at(45)});
  windows.finish();
  const std::vector<SpeechWindow> all = windows.take();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].begin, at(1));
  EXPECT_EQ(all[0].end, at(9));
  EXPECT_EQ(all[1].ranges.size(), 1U);
  EXPECT_EQ(all[2].begin, at(30.5));
}

TEST(SpeechWindows, SpeechWithoutAPauseIsCutWhereItIsLeastLikeSpeech) {
  SpeechWindows windows;
  std::vector<float> probabilities;
  constexpr std::size_t kQuiet = 700;  // frame: 22.4 s
  std::vector<SpeechWindow> cut;
  for (std::size_t i = 0; i < 2000; ++i) {
    probabilities.push_back(i == kQuiet ? 0.5F : 0.9F);
    windows.advance((i + 1) * SpeechRanges::kFrame, 0, probabilities);
    std::ranges::move(windows.take(), std::back_inserter(cut));
  }
  ASSERT_GE(cut.size(), 2U);
  EXPECT_EQ(cut[0].begin, 0U);
  EXPECT_EQ(cut[0].end, kQuiet * SpeechRanges::kFrame);
  EXPECT_EQ(cut[1].begin, cut[0].end);
  for (const SpeechWindow& window : cut)
    EXPECT_LE(window.end - window.begin, static_cast<std::uint64_t>(kMostWindowSeconds * kSampleRate));
}

SpokenWord word(const std::string& text, double from = 0, double to = 1) { return {text, from, to, 0.9}; }

std::vector<std::string> texts_of(const std::vector<SpokenWord>& words) {
  std::vector<std::string> texts;
  for (const SpokenWord& one : words) texts.push_back(one.text);
  return texts;
}

TEST(Words, SoundsInBracketsAreNone) {
  EXPECT_THAT(texts_of(without_sounds({word(" [BLANK_AUDIO]")})), testing::IsEmpty());
  EXPECT_THAT(texts_of(without_sounds({word(" (upbeat"), word(" music)"), word(" Hello"), word(" *laughs*")})),
              testing::ElementsAre(" Hello"));
  EXPECT_THAT(texts_of(without_sounds({word(" ♪"), word(" la"), word(" la"), word(" ♪"), word(" Yes.")})),
              testing::ElementsAre(" Yes."));
  EXPECT_THAT(texts_of(without_sounds({word(" five"), word(" o'clock,"), word(" -ish")})),
              testing::ElementsAre(" five", " o'clock,", " -ish"));
  EXPECT_THAT(texts_of(without_sounds({word(" (never"), word(" closed")})), testing::ElementsAre(" (never", " closed"));
  EXPECT_THAT(texts_of(without_sounds({word(" sh*t"), word(" and"), word(" f***")})),
              testing::ElementsAre(" sh*t", " and", " f***"));
}

TEST(Words, BeginWhereTheVoiceDoesBehindAPause) {
  std::vector<SpokenWord> words = {word(" It", 0.2, 1.4), word(" was", 1.4, 3),  word(" we", 3.2, 4.4),
                                   word(" had", 4.4, 5),  word(" um", 5.2, 5.6), word(" end", 7, 8)};
  const std::vector<SoundSpan> voice = {{"speech", 1, 3, 1}, {"speech", 4, 5, 1}, {"speech", 6, 6.5, 1}};
  begin_in_voice(words, voice);
  std::vector<double> from;
  for (const SpokenWord& one : words) from.push_back(one.from);
  // " um" is over before the voice comes; behind the last span nothing is known.
  EXPECT_THAT(from, testing::ElementsAre(1, 1.4, 4, 4.4, 5.2, 7));
}

TEST(Words, ASentenceOrAPauseEndsASegment) {
  const std::vector<SpeechSegment> segments =
      segments_of({word(" One", 0, 0.3), word(" two", 0.3, 0.6), word(" three.", 0.6, 1), word(" Four", 1, 1.2),
                   word(" five", 1.2, 1.4), word(" six", 3, 3.3)},
                  "en");
  ASSERT_EQ(segments.size(), 3U);
  EXPECT_EQ(segments[0].text(), "One two three.");
  EXPECT_EQ(segments[1].text(), "Four five");
  EXPECT_EQ(segments[2].from, 3);
  EXPECT_NEAR(segments[2].confidence, 0.9, 1e-9);
}

TEST(Words, AreNotBelievedWhereTheModelIsUnsureOrLoops) {
  Heard heard{.language = "en", .mean_log_probability = -0.5, .words = {word(" a"), word(" b")}};
  EXPECT_EQ(doubt_of(heard, 2), Doubt::kNone);
  heard.no_speech = 0.8;
  EXPECT_EQ(doubt_of(heard, 2), Doubt::kNone) << "real speech has it, too";
  heard.mean_log_probability = -1.2;
  EXPECT_EQ(doubt_of(heard, 2), Doubt::kSilent);
  heard.no_speech = 0.1;
  EXPECT_EQ(doubt_of(heard, 2), Doubt::kUnsure);
  heard.mean_log_probability = -0.9;
  EXPECT_EQ(doubt_of(heard, 2), Doubt::kNone) << "the language is known";
  heard.language_probability = 0.98;
  EXPECT_EQ(doubt_of(heard, 2), Doubt::kUnsure) << "neither the language nor the text is sure";
  heard.mean_log_probability = -0.2;
  heard.repeats = true;
  EXPECT_EQ(doubt_of(heard, 2), Doubt::kLoop);
  heard.repeats = false;
  heard.words.assign(30, word(" no"));
  EXPECT_EQ(doubt_of(heard, 2), Doubt::kLoop) << "nobody says 15 words a second";
}

TEST(Times, FollowTheHeadsThatFollowTheSound) {
  // Two heads of which each token sees one frame more than the one before it, and a third that sees nothing.
  Attention attention{3, 6, 60, {}};
  attention.weights.assign(3 * 6 * 60, 0.001F);
  for (std::size_t head = 0; head < 2; ++head)
    for (std::size_t token = 0; token < 6; ++token)
      for (std::size_t frame = token * 10; frame < token * 10 + 10; ++frame)
        attention.weights[(head * 6 + token) * 60 + frame] = 0.1F;
  EXPECT_THAT(first_frames(attention, 1), testing::ElementsAre(0U, 20U, 30U, 40U, 50U));
  EXPECT_THAT(first_frames(attention, 6), testing::IsEmpty());
}

class RealSpeech : public testing::Test {
 protected:
  void SetUp() override {
    vad_ = installed("silero-vad/silero_vad_16k_sequence.onnx");
    if (vad_ == nullptr) GTEST_SKIP() << "no silero-vad in build/models: image-engine models pull silero-vad";
    ASSERT_FALSE(recording("two_cities").empty());
  }
  static std::unique_ptr<const Whisper> whisper() {
    auto encoder = installed("whisper-tiny.en/encoder_fp32.onnx"),
         decoder = installed("whisper-tiny.en/decoder_fp32.onnx");
    if (encoder == nullptr || decoder == nullptr) return nullptr;
    Result<Whisper> whisper =
        Whisper::create(encoder, decoder, bytes_of(kRoot + "/build/models/whisper-tiny.en/tokens.txt"));
    return whisper ? std::make_unique<const Whisper>(*std::move(whisper)) : nullptr;
  }
  Transcriber transcriber(const Whisper* whisper, double from = 0) const {
    return {*VoiceActivity::create(vad_), whisper, {}, 0, from};
  }
  static std::vector<SpeechSegment> heard(Transcriber& transcriber, std::span<const float> samples, std::size_t piece) {
    std::vector<SpeechSegment> all;
    for (std::size_t at = 0; at < samples.size(); at += piece) {
      EXPECT_OK(transcriber.add(samples.subspan(at, std::min(piece, samples.size() - at))));
      std::ranges::move(transcriber.take(), std::back_inserter(all));
    }
    EXPECT_OK(transcriber.finish());
    std::ranges::move(transcriber.take(), std::back_inserter(all));
    return all;
  }

  std::shared_ptr<const infer::Session> vad_;
};

TEST_F(RealSpeech, IsWhereSileroFindsIt) {
  const nlohmann::json golden = json_of(kRoot + "/tests/golden/silero_vad.json").at("inputs");
  for (const char* name : {"two_cities", "beckett", "noise", "silence_60_s_then_two_cities_20_s"}) {
    Transcriber alone = transcriber(nullptr);
    const std::vector<float> samples = recording(name);
    heard(alone, samples, 12'345);
    const std::vector<SoundSpan> voice = alone.take_voice();
    const auto& expected = golden.at(name).at("segments");
    ASSERT_EQ(voice.size(), expected.size()) << name;
    for (std::size_t i = 0; i < voice.size(); ++i) {
      EXPECT_NEAR(voice[i].from * kSampleRate, expected[i][0].get<double>(), 512) << name << " " << i;
      EXPECT_NEAR(voice[i].to * kSampleRate, expected[i][1].get<double>(), 512) << name << " " << i;
    }
  }
}

TEST_F(RealSpeech, HasTheWordsOfTheBookAtTheTimesOfFasterWhisper) {
  const auto model = whisper();
  if (model == nullptr) GTEST_SKIP() << "no whisper-tiny.en in build/models: image-engine models pull whisper-tiny.en";
  Transcriber all = transcriber(model.get());
  const std::vector<SpeechSegment> segments = heard(all, recording("two_cities"), 160'000);
  std::string text;
  std::vector<SpokenWord> words;
  for (const SpeechSegment& segment : segments) {
    text += segment.text() + " ";
    words.insert(words.end(), segment.words.begin(), segment.words.end());
    EXPECT_EQ(segment.language, "en");
    EXPECT_GT(segment.confidence, 0.5);
    EXPECT_LE(segment.from, segment.to);
  }
  const std::vector<SoundSpan> voice = all.take_voice();
  std::vector<SpokenWord> in_voice = words;
  begin_in_voice(in_voice, voice);
  for (std::size_t i = 0; i < words.size(); ++i)
    EXPECT_EQ(words[i].from, in_voice[i].from) << words[i].text << " begins in a pause";
  const std::vector<std::string> dickens = words_in(kDickens);
  EXPECT_LE(errors_between(words_in(text), dickens), dickens.size() / 50) << text;

  const nlohmann::json theirs = json_of(kRoot + "/tests/golden/whisper_words.json").at("words");
  std::size_t compared = 0, near = 0;
  for (std::size_t i = 0, j = 0; i < words.size() && j < theirs.size(); ++i) {
    std::size_t match = j;
    while (match < std::min(j + 4, theirs.size()) &&
           words_in(theirs[match][0].get<std::string>()) != words_in(words[i].text))
      ++match;
    if (match == std::min(j + 4, theirs.size())) continue;
    j = match + 1;
    ++compared;
    near += std::abs(words[i].from - theirs[match][1].get<double>()) <= 0.1 ? 1 : 0;
  }
  EXPECT_GE(compared, 110U);
  EXPECT_GE(near, compared * 85 / 100);
}

TEST_F(RealSpeech, BeginsWhereItDoesAfterAMinuteOfSilence) {
  const auto model = whisper();
  if (model == nullptr) GTEST_SKIP() << "no whisper-tiny.en in build/models: image-engine models pull whisper-tiny.en";
  Transcriber all = transcriber(model.get());
  const std::vector<SpeechSegment> segments = heard(all, recording("silence_60_s_then_two_cities_20_s"), 48'000);
  ASSERT_FALSE(segments.empty());
  EXPECT_EQ(segments[0].words[0].text, " It");
  EXPECT_NEAR(segments[0].words[0].from, 61.2, 0.3);
}

TEST_F(RealSpeech, NoiseHasNoWords) {
  const auto model = whisper();
  if (model == nullptr) GTEST_SKIP() << "no whisper-tiny.en in build/models: image-engine models pull whisper-tiny.en";
  Transcriber all = transcriber(model.get());
  EXPECT_TRUE(heard(all, recording("noise"), 16'000).empty());
}

TEST_F(RealSpeech, IsTheSameInPiecesOfAnyLengthAndWhereItWasInterrupted) {
  const auto model = whisper();
  if (model == nullptr) GTEST_SKIP() << "no whisper-tiny.en in build/models: image-engine models pull whisper-tiny.en";
  const std::vector<float> samples = recording("two_cities");
  Transcriber whole = transcriber(model.get());
  const std::vector<SpeechSegment> expected = heard(whole, samples, samples.size());

  Transcriber first = transcriber(model.get());
  const std::span<const float> until = std::span<const float>(samples).first(40 * kSampleRate);
  std::vector<SpeechSegment> parts;
  for (std::size_t at = 0; at < until.size(); at += 8'000) EXPECT_OK(first.add(until.subspan(at, 8'000)));
  std::ranges::move(first.take(), std::back_inserter(parts));
  const double stopped = first.until();
  ASSERT_GT(stopped, 20);
  ASSERT_LT(stopped, 40);
  // A later run is given what comes before once more, to prepare the detector.
  const auto from = static_cast<std::size_t>((stopped - 10) * kSampleRate);
  Transcriber second(*VoiceActivity::create(vad_), model.get(), {}, static_cast<double>(from) / kSampleRate, stopped);
  std::ranges::move(heard(second, std::span<const float>(samples).subspan(from), 30'000), std::back_inserter(parts));
  ASSERT_EQ(parts.size(), expected.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].text(), expected[i].text());
    EXPECT_NEAR(parts[i].from, expected[i].from, 0.1);
  }
}

TEST_F(RealSpeech, OtherGraphsAreRefused) {
  EXPECT_EQ(Whisper::create(vad_, vad_, "").error().code, ErrorCode::kCorrupt);
  const auto encoder = installed("whisper-tiny.en/encoder_int8.onnx");
  if (encoder == nullptr)
    GTEST_SKIP() << "no whisper-tiny.en in build/models: image-engine models pull whisper-tiny.en";
  EXPECT_EQ(VoiceActivity::create(encoder).error().code, ErrorCode::kCorrupt);
  const auto decoder = installed("whisper-tiny.en/decoder_int8.onnx");
  for (const char* tokens : {"", "no base64", "SGk= 99999999", "SGk="})
    EXPECT_EQ(Whisper::create(encoder, decoder, tokens).error().code, ErrorCode::kCorrupt) << tokens;
  const auto whisper = Whisper::create(encoder, decoder, bytes_of(kRoot + "/build/models/whisper-tiny.en/tokens.txt"));
  ASSERT_OK(whisper);
  EXPECT_EQ(whisper->check({.language = "de"}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(whisper->check({.translate = true}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_OK(whisper->check({.language = "en"}));
}

}  // namespace
}  // namespace image_engine::audio
