// Pillow's resampling of 8-bit samples (Resample.c): Lanczos with a = 3, widened by the ratio, and weights in units of
// 2⁻²². For perceptual hashes, of which others' programs have the same. On the CPU and on a GPU.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "types/host_device.h"

namespace image_engine {

inline constexpr int kPillowBits = 22;
inline constexpr std::int32_t kPillowHalf = 1 << (kPillowBits - 1);  // what a sum begins with

// The samples of which one output is made.
struct PillowWindow {
  double centre = 0, widening = 1;
  std::uint32_t first = 0, end = 0;
};
IE_HOST_DEVICE inline PillowWindow pillow_window(std::uint32_t in, std::uint32_t out, std::uint32_t output) {
  const double ratio = static_cast<double>(in) / out;
  PillowWindow window;
  window.widening = ratio > 1 ? ratio : 1;
  window.centre = (output + 0.5) * ratio;
  const double first = window.centre - 3 * window.widening + 0.5, end = window.centre + 3 * window.widening + 0.5;
  window.first = first > 0 ? static_cast<std::uint32_t>(first) : 0;
  window.end = end < in ? static_cast<std::uint32_t>(end) : in;
  return window;
}

// The weight of a sample, before all are divided by their sum.
IE_HOST_DEVICE inline double pillow_weight(const PillowWindow& window, std::uint32_t sample) {
  const auto sinc = [](double v) { return v == 0 ? 1.0 : std::sin(v * std::numbers::pi) / (v * std::numbers::pi); };
  const double x = (sample + 0.5 - window.centre) / window.widening;
  return x > -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0.0;
}
// And afterwards, in units of 2⁻²².
IE_HOST_DEVICE inline std::int32_t pillow_fixed(double weight, double sum) {
  return static_cast<std::int32_t>(std::lround(weight / sum * (1 << kPillowBits)));
}
IE_HOST_DEVICE inline std::uint8_t pillow_level(std::int32_t sum) {
  const std::int32_t level = sum >> kPillowBits;
  return static_cast<std::uint8_t>(level < 0 ? 0 : level > 255 ? 255 : level);
}

}  // namespace image_engine
