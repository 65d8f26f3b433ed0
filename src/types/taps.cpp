#include "types/taps.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace image_engine {
namespace {

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

double cubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
  return 0;
}

constexpr double kLobes = 3;

double lanczos(double x) {
  if (std::abs(x) >= kLobes) return 0;
  if (x == 0) return 1;
  const double angle = x * std::numbers::pi;
  return kLobes * std::sin(angle) * std::sin(angle / kLobes) / (angle * angle);
}

struct Kernel {
  double (*weight)(double);
  double support;
};
Kernel kernel_of(ResampleFilter filter) {
  switch (filter) {
    case ResampleFilter::kBicubic:
      return {cubic, 2};
    case ResampleFilter::kLanczos:
      return {lanczos, kLobes};
    default:
      return {triangle, 1};
  }
}

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
  const Kernel kernel = kernel_of(filter);
  const double scale = axis.extent / static_cast<double>(axis.out);
  const double stretch = filter == ResampleFilter::kLinear ? 1 : std::max(scale, 1.0);
  const double support = kernel.support * stretch;
  Taps taps;
  taps.first.resize(length), taps.count.resize(length);
  taps.stride = static_cast<std::uint32_t>(std::min<double>(axis.in, std::ceil(support) * 2 + 1));
  taps.weights.resize(std::size_t{length} * taps.stride);
  std::vector<double> row(taps.stride);
  for (std::uint32_t i = 0; i < length; ++i) {
    const double centre = (static_cast<double>(begin + i) + 0.5) * scale;
    const auto first = static_cast<std::uint32_t>(std::clamp(centre - support + 0.5, 0.0, axis.in - 1.0));
    const auto last = static_cast<std::uint32_t>(std::clamp<double>(centre + support + 0.5, first + 1.0, axis.in));
    taps.first[i] = first;
    taps.count[i] = std::min(last - first, taps.stride);
    double sum = 0;
    for (std::uint32_t k = 0; k < taps.count[i]; ++k)
      sum += row[k] = kernel.weight((first + k - centre + 0.5) / stretch);
    for (std::uint32_t k = 0; k < taps.count[i]; ++k)
      taps.weights[std::size_t{i} * taps.stride + k] = static_cast<float>(row[k] / sum);
  }
  return taps;
}

}  // namespace image_engine
