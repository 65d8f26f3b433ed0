#include "audio/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>

#include "tests/support/files.h"

namespace image_engine::audio {
namespace {

constexpr std::size_t kFrames = 40;
constexpr std::size_t kBands = KaldiFbank::kBands;

// The signal of tools/reference/sound_features.py.
std::vector<float> signal() {
  constexpr std::size_t kSamples = 4'900;
  constexpr std::array<double, 3> kLoud = {0.5, 0.02, 0.2};
  std::uint32_t state = 1;
  std::vector<float> samples;
  for (std::size_t i = 0; i < kSamples; ++i) {
    state = state * 1'664'525 + 1'013'904'223;
    const double time = static_cast<double>(i) / kSampleRate;
    const double tone = std::sin(2 * std::numbers::pi * (300 + 9000 * time) * time);
    samples.push_back(static_cast<float>(kLoud[i / 1600 % 3] * (0.8 * tone + 0.2 * (state / 0x1p31 - 1))));
  }
  return samples;
}

// The largest difference to others' values of those frames that they were kept of; value(frame, band).
float largest_difference(const std::string& name, const std::function<float(std::size_t, std::size_t)>& value) {
  const nlohmann::json golden = json_of(IE_SOURCE_DIR "/tests/golden/sound_features.json").at(name);
  float largest = golden.empty() ? std::numeric_limits<float>::infinity() : 0;
  for (const auto& [frame, values] : golden.items())
    for (std::size_t band = 0; band < values.size(); ++band)
      largest = std::max(largest, std::abs(value(std::stoul(frame), band) - values[band].get<float>()));
  return largest;
}

TEST(Features, WhispersSpectrogramIsThatOfTransformers) {
  for (std::size_t mels : {80, 128}) {
    const auto mel = whisper_mel(signal(), mels, kFrames);
    ASSERT_EQ(mel.size(), mels * kFrames);
    const auto value = [&](std::size_t frame, std::size_t band) { return mel[band * kFrames + frame]; };
    EXPECT_LT(largest_difference("whisper_" + std::to_string(mels), value), 1e-3) << mels;
  }
}

TEST(Features, WhispersSpectrogramIsOfTheFramesThatAreAskedFor) {
  const auto samples = signal();
  std::vector<float> padded = samples;
  padded.resize(kFrames * kFrameShift);
  EXPECT_EQ(whisper_mel(padded, 80, kFrames), whisper_mel(samples, 80, kFrames)) << "zeros follow anyway";
  std::vector<float> longer = padded;
  longer.resize(longer.size() + 1000, 0.5F);
  EXPECT_EQ(whisper_mel(longer, 80, kFrames), whisper_mel(samples, 80, kFrames)) << "more is cut";
  EXPECT_EQ(whisper_mel(samples, 80, 3000).size(), 80 * 3000);
  EXPECT_EQ(whisper_mel(samples, 80, 1).size(), 80);
  EXPECT_THAT(whisper_mel({}, 80, 3), testing::Each(-1.5F)) << "silence: log10 of 1e-10, scaled";
}

TEST(Features, FilterBanksAreKaldis) {
  KaldiFbank bank;
  std::vector<float> rows;
  bank.add(signal(), rows);
  ASSERT_EQ(rows.size(), 29 * kBands);
  const auto value = [&](std::size_t frame, std::size_t band) { return rows[frame * kBands + band]; };
  EXPECT_LT(largest_difference("kaldi", value), 2e-3);
}

TEST(Features, PiecesOfAnyLengthGiveTheSameFilterBanks) {
  const auto samples = signal();
  std::vector<float> whole;
  KaldiFbank().add(samples, whole);
  for (std::size_t piece : {1, 159, 160, 401, 3000}) {
    KaldiFbank bank;
    std::vector<float> rows;
    for (std::size_t i = 0; i < samples.size(); i += piece)
      bank.add(std::span(samples).subspan(i, std::min(piece, samples.size() - i)), rows);
    EXPECT_EQ(rows, whole) << piece;
  }
}

TEST(Features, SilenceHasFiniteFilterBanks) {
  std::vector<float> rows;
  KaldiFbank().add(std::vector<float>(kFrameShift * 4), rows);
  EXPECT_THAT(rows, testing::SizeIs(2 * kBands));
  EXPECT_THAT(rows, testing::Each(std::log(1e-20F)));
}

}  // namespace
}  // namespace image_engine::audio
