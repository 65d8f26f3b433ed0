#include "media/peaks.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace image_engine::media {
namespace {

constexpr size_t kQuarters = 4, kPeakTaps = 12, kLanes = 8;
using PeakTaps = std::array<float, kPeakTaps>;

// Interpolation between the sixth and the seventh of twelve samples: a sinc within a Hann window, for each quarter.
struct Interpolation {
  std::array<PeakTaps, kQuarters> taps{};
  float most_gain = 1;  // nothing interpolated is higher than this times the highest sample

  Interpolation() {
    for (size_t quarter = 1; quarter < kQuarters; ++quarter) {
      float gain = 0;
      for (size_t i = 0; i < kPeakTaps; ++i) {
        const double t = static_cast<double>(quarter) / kQuarters - (static_cast<double>(i) - 5);
        const double window = 0.5 * (1 + std::cos(std::numbers::pi * t / 6));
        taps[quarter][i] = static_cast<float>(std::sin(std::numbers::pi * t) / (std::numbers::pi * t) * window);
        gain += std::abs(taps[quarter][i]);
      }
      most_gain = std::max(most_gain, gain);
    }
  }
};

const Interpolation& interpolation() {
  static const Interpolation kMade;
  return kMade;
}

// The highest magnitude. In lanes, so that it is computed with vectors.
float highest(const float* samples, size_t count) {
  std::array<float, kLanes> most{};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = std::abs(samples[i + lane]);
      most[lane] = value > most[lane] ? value : most[lane];
    }
  for (; i < count; ++i) most[0] = std::max(most[0], std::abs(samples[i]));
  return *std::ranges::max_element(most);
}

// Likewise of what `taps` make of `count` + kPeakTaps - 1 samples.
float highest_between(const float* samples, size_t count, const PeakTaps& taps) {
  std::array<float, kLanes> most{};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    std::array<float, kLanes> sum{};
    for (size_t tap = 0; tap < kPeakTaps; ++tap)
      for (size_t lane = 0; lane < kLanes; ++lane) sum[lane] += taps[tap] * samples[i + lane + tap];
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float value = std::abs(sum[lane]);
      most[lane] = value > most[lane] ? value : most[lane];
    }
  }
  for (; i < count; ++i) {
    float sum = 0;
    for (size_t tap = 0; tap < kPeakTaps; ++tap) sum += taps[tap] * samples[i + tap];
    most[0] = std::max(most[0], std::abs(sum));
  }
  return *std::ranges::max_element(most);
}

}  // namespace

ChannelPeaks::ChannelPeaks(int rate, FullScale full_scale)
    : full_scale_(full_scale),
      step_(rate < 96'000    ? 1
            : rate < 192'000 ? 2
                             : kQuarters) {
  static_assert(kTaps == kPeakTaps);
}

void ChannelPeaks::add(std::span<const float> samples, size_t stride, float& most) {
  size_t filled = 0;
  for (size_t i = 0; i < samples.size(); i += stride) {
    samples_[kTaps - 1 + filled++] = samples[i];
    if (filled < kBlock) continue;
    add_block(filled, most);
    filled = 0;
  }
  if (filled > 0) add_block(filled, most);
}

void ChannelPeaks::add_block(size_t count, float& most) {
  const float* block = samples_.data() + kTaps - 1;
  const float peak = highest(samples_.data(), count + kTaps - 1);
  most = std::max(most, peak);
  if (peak >= std::min(full_scale_.above, -full_scale_.below))
    count_clipped({block, count});
  else
    run_ = 0;
  // Most blocks are too quiet to hold the highest peak.
  if (peak * interpolation().most_gain > most)
    for (size_t quarter = step_; quarter < kQuarters; quarter += step_)
      most = std::max(most, highest_between(samples_.data(), count, interpolation().taps[quarter]));
  std::copy_n(samples_.data() + count, kTaps - 1, samples_.data());
}

void ChannelPeaks::count_clipped(std::span<const float> samples) {
  constexpr std::uint64_t kLeastRun = 3;
  for (const float sample : samples) {
    run_ = sample >= full_scale_.above || sample <= full_scale_.below ? run_ + 1 : 0;
    if (run_ >= kLeastRun) clipped_ += run_ == kLeastRun ? kLeastRun : 1;
  }
}

}  // namespace image_engine::media
