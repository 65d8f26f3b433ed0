// Multi-scale deformable attention (graph/chains.h) as its kernels take it.
#pragma once

#include "infer/ops/chain.h"

namespace image_engine::infer {

struct DeformableLevel {
  std::uint32_t first, height, width, points;
};

struct Deformable {
  const void *rows, *points, *weights;
  void* result;
  std::uint32_t pictures, places, queries, heads, size;
  std::uint32_t all_points;  // of all levels
  DeformableLevel levels[graph::kMostDeformableLevels];
  std::uint8_t level_count;
  bool rows_half, points_half, weights_half, is_half;  // the last: the result
};

// `levels` as the operator's attribute has them. Null, or what is wrong.
const char* fill_levels(std::span<const std::int64_t> levels, Deformable& work);
// After fill_levels(): what is not checked here is not read out of bounds.
const char* fill_deformable(std::span<const ChainTensor> inputs, void* result, bool is_half, Deformable& work);

// As RunChain.
using RunDeformable = const char* (*)(const Deformable& work, void* stream);
const char* run_deformable_on_host(const Deformable& work, void* stream);
const char* run_deformable_on_gpu(const Deformable& work, void* stream);

}  // namespace image_engine::infer
