#include <cuda_runtime.h>

#include "infer/ops/norm_steps.h"

namespace image_engine::infer {
namespace {

constexpr std::uint32_t kNormBlock = 256;

// Of the threads that share a row.
__device__ float sum_of_row(const RowNorm& work, float part) {
  for (std::uint32_t step = work.threads / 2; step > 0; step /= 2)
    part += __shfl_xor_sync(0xFFFFFFFFU, part, static_cast<int>(step));
  return part;
}

template <typename Number>
__global__ void __launch_bounds__(kNormBlock) normalize_rows(const __grid_constant__ RowNorm work) {
  const std::uint32_t thread = threadIdx.x % work.threads;
  const std::uint32_t row = blockIdx.x * (kNormBlock / work.threads) + threadIdx.x / work.threads;
  const bool is_there = row < work.count;  // the other threads of a warp need its shuffles
  NormPart part{};
  if (is_there) part = read_part<Number>(work, row, thread);
  const auto channels = static_cast<float>(work.channels);
  const float mean = sum_of_row(work, part_sum(work, part, thread, 0, false)) / channels;
  const float variance = sum_of_row(work, part_sum(work, part, thread, mean, true)) / channels;
  if (is_there) write_part<Number>(work, row, thread, part, mean, variance);
}

}  // namespace

const char* run_norm_on_gpu(const RowNorm& work, void* stream) {
  const std::uint32_t of_block = kNormBlock / work.threads, blocks = (work.count + of_block - 1) / of_block;
  auto* const queue = static_cast<cudaStream_t>(stream);
  if (work.is_half)
    normalize_rows<Half><<<blocks, kNormBlock, 0, queue>>>(work);
  else
    normalize_rows<float><<<blocks, kNormBlock, 0, queue>>>(work);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace image_engine::infer
