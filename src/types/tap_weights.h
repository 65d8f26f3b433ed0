// The arithmetic of resampling, for the CPU's loops and the GPU's kernels. Pure functions.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "types/host_device.h"
#include "types/taps.h"

namespace image_engine {

template <typename T>
IE_HOST_DEVICE inline T limited(T value, T least, T most) {
  return value < least ? least : value > most ? most : value;
}

// The weight at distance x from the centre, before the weights of an output are divided by their sum; not of kNearest.
IE_HOST_DEVICE inline double tap_weight(ResampleFilter filter, double x) {
  constexpr double kCubic = -0.5, kLobes = 3;
  const double distance = fabs(x);
  if (filter == ResampleFilter::kBicubic) {
    if (distance < 1) return ((kCubic + 2) * distance - (kCubic + 3)) * distance * distance + 1;
    return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * kCubic : 0;
  }
  if (filter == ResampleFilter::kLanczos) {
    if (distance >= kLobes) return 0;
    if (distance == 0) return 1;
    const double angle = x * std::numbers::pi;
    return kLobes * sin(angle) * sin(angle / kLobes) / (angle * angle);
  }
  return distance < 1 ? 1 - distance : 0;
}

// How far an axis's taps reach, in samples of the input.
struct TapReach {
  double scale = 1;          // input samples per output
  double stretch = 1;        // of the filter
  double support = 0;        // on each side of the centre
  std::uint32_t stride = 1;  // most taps of an output
};
IE_HOST_DEVICE inline TapReach tap_reach(ResampleFilter filter, const Axis& axis) {
  const double scale = axis.extent / static_cast<double>(axis.out);
  if (filter == ResampleFilter::kNearest) return {scale, 1, 0, 1};
  const double half = filter == ResampleFilter::kBicubic ? 2 : filter == ResampleFilter::kLanczos ? 3 : 1;
  const double stretch = filter == ResampleFilter::kLinear || scale < 1 ? 1 : scale;
  const double most = ceil(half * stretch) * 2 + 1;
  return {scale, stretch, half * stretch, static_cast<std::uint32_t>(most < axis.in ? most : axis.in)};
}

// The input samples under output i of an axis; not of kNearest.
struct TapWindow {
  double centre = 0;
  std::uint32_t first = 0, count = 0;
};
IE_HOST_DEVICE inline TapWindow tap_window(const TapReach& reach, std::uint32_t in, std::uint64_t i) {
  const double centre = (static_cast<double>(i) + 0.5) * reach.scale;
  const auto first = static_cast<std::uint32_t>(limited(centre - reach.support + 0.5, 0.0, in - 1.0));
  const auto last = static_cast<std::uint32_t>(limited(centre + reach.support + 0.5, first + 1.0, double(in)));
  return {centre, first, last - first < reach.stride ? last - first : reach.stride};
}

// The greatest precision at which every weight, plus one, fits 16 bits, and 255 × 2^precision × the sum of absolute
// weights (< 2) stays below 2^31. `largest` is the largest absolute weight of the axis.
IE_HOST_DEVICE inline int precision_for(float largest) {
  int precision = 21;
  while (precision > 1 && ldexpf(largest, precision) > INT16_MAX - 1) --precision;
  return precision;
}

// One output's weights as multiples of 1 / 2^precision whose sum is exactly 2^precision: calls set(k, integer) for the
// weight weight(k).
template <typename Weight, typename Set>
IE_HOST_DEVICE inline void round_taps(std::uint32_t count, int precision, const Weight& weight, const Set& set) {
  const double one = ldexp(1.0, precision);
  double exact = 0;  // the sum so far; rounded, it equals the sum of the integers so far
  std::int32_t given = 0;
  for (std::uint32_t k = 0; k < count; ++k) {
    exact += one * static_cast<double>(weight(k));
    const std::int32_t sum = k + 1 == count ? 1 << precision : static_cast<std::int32_t>(lround(exact));
    set(k, static_cast<std::int16_t>(sum - given));
    given = sum;
  }
}

// A weighted sum of samples as a sample.
IE_HOST_DEVICE inline std::uint8_t sample_of(std::int32_t sum, int precision) {
  return static_cast<std::uint8_t>(limited((sum + (1 << (precision - 1))) >> precision, 0, 255));
}

}  // namespace image_engine
