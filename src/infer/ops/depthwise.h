// A depthwise convolution and the steps behind it (graph/chains.h) as its kernels take them.
#pragma once

#include <array>

#include "infer/ops/chain.h"

namespace image_engine::infer {

// Outputs next to each other in a row that a thread computes, of kLanes channels each.
inline constexpr std::uint32_t kStrip = 4;

struct DepthwiseChain {
  const void *picture, *weights;
  std::uint32_t rows, height, width, channels, out_height, out_width;
  std::int32_t top, left;  // padding
  std::uint8_t size, stride;
  bool is_half;  // the picture and the weights
  Chain chain;   // its first operand is not read
};

struct DepthwiseAttributes {
  std::span<const std::int64_t> strides, pads;
};

// The output's shape. Null, or what is wrong.
const char* depthwise_shape(std::span<const std::int64_t> picture, std::span<const std::int64_t> weights,
                            const DepthwiseAttributes& attributes, std::array<std::int64_t, 4>& output);
// `work.chain` after fill_steps(); `inputs` as the operator has them, `output` as depthwise_shape() gives it.
const char* fill_depthwise(std::span<const ChainTensor> inputs, const DepthwiseAttributes& attributes,
                           std::span<const std::int64_t> output, void* result, bool is_half, DepthwiseChain& work);

// As RunChain.
using RunDepthwise = const char* (*)(const DepthwiseChain& work, void* stream);
const char* run_depthwise_on_host(const DepthwiseChain& work, void* stream);
const char* run_depthwise_on_gpu(const DepthwiseChain& work, void* stream);

}  // namespace image_engine::infer
