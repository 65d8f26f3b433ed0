#include "types/taps.h"

#include <algorithm>

#include "types/tap_weights.h"

namespace image_engine {
namespace {

Taps nearest_taps(const Axis& axis, std::uint64_t begin, std::uint32_t length) {
  Taps taps{std::vector<std::uint32_t>(length), std::vector<std::uint32_t>(length, 1), std::vector<float>(length, 1.0F),
            1};
  const double scale = axis.extent / static_cast<double>(axis.out);
  double under = 0.5 * scale;  // summed as in Pillow: on an edge, rounding decides
  for (std::uint64_t i = 0; i < begin; ++i) under += scale;
  for (std::uint32_t i = 0; i < length; ++i, under += scale)
    taps.first[i] = static_cast<std::uint32_t>(std::clamp(under, 0.0, axis.in - 1.0));
  return taps;
}

}  // namespace

Taps make_taps(ResampleFilter filter, const Axis& axis, std::uint64_t begin, std::uint32_t length) {
  if (filter == ResampleFilter::kNearest) return nearest_taps(axis, begin, length);
  const TapReach reach = tap_reach(filter, axis);
  Taps taps;
  taps.first.resize(length), taps.count.resize(length);
  taps.stride = reach.stride;
  taps.weights.resize(std::size_t{length} * taps.stride);
  std::vector<double> row(taps.stride);
  for (std::uint32_t i = 0; i < length; ++i) {
    const TapWindow window = tap_window(reach, axis.in, begin + i);
    taps.first[i] = window.first;
    taps.count[i] = window.count;
    double sum = 0;
    for (std::uint32_t k = 0; k < taps.count[i]; ++k)
      sum += row[k] = tap_weight(filter, (window.first + k - window.centre + 0.5) / reach.stretch);
    for (std::uint32_t k = 0; k < taps.count[i]; ++k)
      taps.weights[std::size_t{i} * taps.stride + k] = static_cast<float>(row[k] / sum);
  }
  return taps;
}

}  // namespace image_engine
