// Norms of rows (graph/chains.h) as their kernels take them.
#pragma once

#include "infer/ops/chain.h"

namespace image_engine::infer {

// Of kLanes numbers each, of a row, that a thread has.
inline constexpr std::uint32_t kNormWords = 2;
// That share a row: lanes of one warp.
inline constexpr std::uint32_t kMostNormThreads = 32;
static_assert(kNormWords * kMostNormThreads * kLanes == graph::kMostNormChannels);

struct RowNorm {
  const void *rows, *gain, *shift;
  const void *added, *bias;  // null: none
  void *result, *sum;        // the latter is null where nobody needs it
  std::uint32_t count, channels;
  std::uint32_t threads;  // of a row: a power of two
  float epsilon;
  bool is_half;  // everything
};

// Null, or what is wrong: nothing that is not checked here is read out of bounds. `inputs` as the operator has them.
const char* fill_norm(std::span<const ChainTensor> inputs, float epsilon, bool is_half, RowNorm& work);
// After fill_norm(): `sum` may be null.
const char* fill_norm_results(void* result, void* sum, RowNorm& work);

// As RunChain.
using RunNorm = const char* (*)(const RowNorm& work, void* stream);
const char* run_norm_on_host(const RowNorm& work, void* stream);
const char* run_norm_on_gpu(const RowNorm& work, void* stream);

}  // namespace image_engine::infer
