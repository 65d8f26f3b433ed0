// Pictures with channels last: their making and their maxima (graph/chains.h), as the kernels take them.
#pragma once

#include <array>

#include "infer/ops/chain.h"

namespace image_engine::infer {

struct LastChannels {
  const void* picture;
  void* result;
  std::uint32_t rows, places, channels;
  Divider words;               // of eight places, of a row
  bool picture_half, is_half;  // the latter: the result
};

struct WindowMax {
  const void* picture;
  void* result;
  std::uint32_t words;                   // of kLanes numbers, of the result
  Divider word_channels, width, height;  // the result's; the first: the words of a place
  std::uint32_t in_height, in_width;
  std::int32_t size, stride, top, left;
  bool has_zeros, is_half;  // all around; the picture and the result
};

// Null, or what is wrong: nothing that is not checked here is read out of bounds.
const char* fill_last(const ChainTensor& picture, void* result, bool is_half, LastChannels& work);
// The output's shape for `window`, as the operator's attribute has it.
const char* window_shape(std::span<const std::int64_t> picture, std::span<const std::int64_t> window,
                         std::array<std::int64_t, 4>& output);
// After window_shape().
const char* fill_window(const ChainTensor& picture, std::span<const std::int64_t> window,
                        std::span<const std::int64_t> output, void* result, bool is_half, WindowMax& work);

// As RunChain.
using RunLast = const char* (*)(const LastChannels& work, void* stream);
const char* run_last_on_host(const LastChannels& work, void* stream);
const char* run_last_on_gpu(const LastChannels& work, void* stream);
using RunWindow = const char* (*)(const WindowMax& work, void* stream);
const char* run_window_on_host(const WindowMax& work, void* stream);
const char* run_window_on_gpu(const WindowMax& work, void* stream);

}  // namespace image_engine::infer
