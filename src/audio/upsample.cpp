#include "audio/upsample.h"

#include <array>
#include <cmath>
#include <numbers>

namespace image_engine::audio {
namespace {

constexpr std::size_t kSide = 2 * kUpsampleReach;  // of the filter, in samples of the result
constexpr double kKaiserBeta = 9;
constexpr std::size_t kTaps = 2 * kUpsampleReach + 1;

// The weights of samples −kUpsampleReach…kUpsampleReach around one, for the sample of the result at its place (the
// first) and that between it and the next.
using Phases = std::array<std::array<float, kTaps>, 2>;

double kaiser_sinc(double place) {
  const double within = place / kSide, angle = std::numbers::pi * place / 2;
  const double sinc = place == 0 ? 1 : std::sin(angle) / angle;
  return sinc * std::cyl_bessel_i(0, kKaiserBeta * std::sqrt(1 - within * within)) / std::cyl_bessel_i(0, kKaiserBeta);
}

Phases make_phases() {
  double sum = 0;  // of the filter, 2 after scaling: a constant stays what it is
  for (int place = -static_cast<int>(kSide); place <= static_cast<int>(kSide); ++place) sum += kaiser_sinc(place);
  Phases phases{};
  for (std::size_t phase = 0; phase < 2; ++phase)
    for (std::size_t tap = 0; tap < kTaps; ++tap) {
      const double place = static_cast<double>(phase) - 2 * (static_cast<double>(tap) - kUpsampleReach);
      if (std::abs(place) <= kSide) phases[phase][tap] = static_cast<float>(2 * kaiser_sinc(place) / sum);
    }
  return phases;
}

}  // namespace

std::vector<float> upsample(std::span<const float> samples) {
  static const Phases kPhases = make_phases();
  std::vector<float> result;
  if (samples.size() < kTaps) return result;
  result.reserve(2 * (samples.size() - kTaps + 1));
  for (std::size_t first = 0; first + kTaps <= samples.size(); ++first)
    for (const auto& weights : kPhases) {
      float sum = 0;
      for (std::size_t tap = 0; tap < kTaps; ++tap) sum += weights[tap] * samples[first + tap];
      result.push_back(sum);
    }
  return result;
}

}  // namespace image_engine::audio
