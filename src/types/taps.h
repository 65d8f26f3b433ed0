// The input samples and weights of each output sample, as in Pillow's Image.resize.
#pragma once

#include <cstdint>
#include <vector>

namespace image_engine {

// Antialiased as in Pillow (support grows with the ratio), except kNearest and kLinear. kLinear is OpenCV's
// INTER_LINEAR, the four nearest samples, which YOLO models are trained with.
enum class ResampleFilter : std::uint8_t { kNearest, kBilinear, kBicubic, kLanczos, kLinear };

// How one axis is resampled: `extent` (from the input's begin, at most `in`) maps onto `out` samples.
struct Axis {
  std::uint32_t in = 0;   // number of samples, at least 1
  double extent = 0;      // more than 0
  std::uint64_t out = 0;  // at least 1; may be far more than the computed part
};

// The taps of the outputs [begin, begin + length) of an axis. Output i is the sum over k < count[i] of weights[i ·
// stride + k] × input[first[i] + k]; first[i] + count[i] ≤ axis.in, count[i] ≥ 1, the weights' sum is 1.
struct Taps {
  std::vector<std::uint32_t> first, count;
  std::vector<float> weights;  // the rest of a stride is zero
  std::uint32_t stride = 0;
};

// Antialiased: the filter is stretched by the ratio where the output is smaller. Kernels: the triangle; Keys' cubic
// with a = −0.5; sinc × sinc with a = 3; kNearest takes the sample under the output's centre. kLinear is the triangle,
// never stretched.
Taps make_taps(ResampleFilter filter, const Axis& axis, std::uint64_t begin, std::uint32_t length);

}  // namespace image_engine
