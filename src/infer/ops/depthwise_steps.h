// What a thread does for a depthwise convolution: the same arithmetic on the CPU and on a GPU.
#pragma once

#include "infer/ops/chain_steps.h"
#include "infer/ops/depthwise.h"

namespace image_engine::infer {

// Threads that compute everything.
IE_HOST_DEVICE inline std::uint32_t strips_of(const DepthwiseChain& work) {
  return work.rows * work.out_height * ((work.out_width + kStrip - 1) / kStrip) * (work.channels / kLanes);
}

// Adds what a row of the kernel gives. `line` is the picture's row at the strip's channels; `x` the place of its first
// number, left of the picture where that is padded.
template <int kSize, int kStride, typename Number>
IE_HOST_DEVICE void add_line(const DepthwiseChain& work, const Number* line, const Number* weights, std::int32_t x,
                             Lane (&sums)[kStrip]) {
  constexpr int kColumns = (static_cast<int>(kStrip) - 1) * kStride + kSize;
  // All is read before it is used, what lies outside from the edge, so that a thread waits for memory once.
  Words<Number> words[kColumns];
  const auto width = static_cast<std::int32_t>(work.width);
  IE_UNROLL
  for (int column = 0; column < kColumns; ++column) {
    const std::int32_t at = x + column, inside = at < 0 ? 0 : at < width ? at : width - 1;
    words[column] = words_at(line + static_cast<std::size_t>(inside) * work.channels);
  }
  Lane factors[kSize];
  IE_UNROLL
  for (int i = 0; i < kSize; ++i) read_wide(weights + static_cast<std::size_t>(i) * work.channels, factors[i].values);
  IE_UNROLL
  for (int column = 0; column < kColumns; ++column) {
    Lane numbers;
    read_words(words[column], numbers.values);
    if (x + column < 0 || x + column >= width) numbers = {};
    IE_UNROLL
    for (int output = 0; output < static_cast<int>(kStrip); ++output) {
      const int factor = column - output * kStride;
      if (factor < 0 || factor >= kSize) continue;
      IE_UNROLL
      for (std::uint32_t i = 0; i < kLanes; ++i)
        sums[output].values[i] += numbers.values[i] * factors[factor].values[i];
    }
  }
}

// `index` is less than strips_of().
template <int kSize, int kStride, typename Number>
IE_HOST_DEVICE void run_strip(const DepthwiseChain& work, std::uint32_t index) {
  const std::uint32_t groups = work.channels / kLanes, strips = (work.out_width + kStrip - 1) / kStrip;
  const std::uint32_t channel = index % groups * kLanes, x = index / groups % strips * kStrip;
  const std::uint32_t line = index / groups / strips, row = line / work.out_height, y = line % work.out_height;
  const auto* picture = static_cast<const Number*>(work.picture) + channel;
  const auto* weights = static_cast<const Number*>(work.weights) + channel;
  Lane sums[kStrip]{};
  for (std::int32_t i = 0; i < kSize; ++i) {
    const std::int32_t at = static_cast<std::int32_t>(y) * kStride + i - work.top;
    if (at < 0 || at >= static_cast<std::int32_t>(work.height)) continue;
    const std::size_t begin = (std::size_t{row} * work.height + static_cast<std::size_t>(at)) * work.width;
    add_line<kSize, kStride>(work, picture + begin * work.channels,
                             weights + static_cast<std::size_t>(i * kSize) * work.channels,
                             static_cast<std::int32_t>(x) * kStride - work.left, sums);
  }
  IE_UNROLL
  for (std::uint32_t i = 0; i < kStrip; ++i)
    if (x + i < work.out_width)
      finish_lane(work.chain, ((line * work.out_width) + x + i) * work.channels + channel, kLanes, sums[i]);
}

// Calls Runner<size, stride, type>::run(work, stream) for those of the work.
template <template <int, int, typename> typename Runner>
const char* run_strips(const DepthwiseChain& work, void* stream) {
  struct Row {
    std::uint8_t size, stride;
    bool is_half;
    RunDepthwise run;
  };
  constexpr Row kRows[] = {{3, 1, true, Runner<3, 1, Half>::run},   {3, 2, true, Runner<3, 2, Half>::run},
                           {5, 1, true, Runner<5, 1, Half>::run},   {5, 2, true, Runner<5, 2, Half>::run},
                           {7, 1, true, Runner<7, 1, Half>::run},   {7, 2, true, Runner<7, 2, Half>::run},
                           {3, 1, false, Runner<3, 1, float>::run}, {3, 2, false, Runner<3, 2, float>::run},
                           {5, 1, false, Runner<5, 1, float>::run}, {5, 2, false, Runner<5, 2, float>::run},
                           {7, 1, false, Runner<7, 1, float>::run}, {7, 2, false, Runner<7, 2, float>::run}};
  for (const Row& row : kRows)
    if (row.size == work.size && row.stride == work.stride && row.is_half == work.is_half) return row.run(work, stream);
  return "there is no kernel of this size";
}

}  // namespace image_engine::infer
