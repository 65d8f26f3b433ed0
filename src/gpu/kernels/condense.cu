#include <cuda_runtime.h>

#include <algorithm>

#include "gpu/kernels/condense_batch.h"

namespace image_engine::gpu {
namespace {

constexpr std::uint32_t kCondenseThreads = 128;
static_assert(sizeof(CondenseBatch) <= 4096, "a kernel's arguments on all GPUs");
static_assert(kOutputsAcross + kOutputsDown <= kCondenseThreads);

__global__ void begin_jobs(const __grid_constant__ CondenseBatch batch) {
  if (threadIdx.x < kOutputsAcross + kOutputsDown) begin_condensing(batch.jobs[blockIdx.y], threadIdx.x);
}

__device__ std::uint32_t item_of_thread() { return blockIdx.x * kCondenseThreads + threadIdx.x; }

__global__ void across_jobs(const __grid_constant__ CondenseBatch batch) {
  const CondenseJob& job = batch.jobs[blockIdx.y];
  if (item_of_thread() < job.height * kOutputsAcross) condense_across(job, item_of_thread());
}

__global__ void down_jobs(const __grid_constant__ CondenseBatch batch) {
  if (item_of_thread() < kCondensedLevels) condense_down(batch.jobs[blockIdx.y], item_of_thread());
}

__global__ void colours_of_jobs(const __grid_constant__ CondenseBatch batch) {
  const CondenseJob& job = batch.jobs[blockIdx.y];
  if (item_of_thread() < job.height * kColourParts) add_colours(job, item_of_thread());
}

__global__ void flatness_of_jobs(const __grid_constant__ CondenseBatch batch) {
  const CondenseJob& job = batch.jobs[blockIdx.y];
  if (item_of_thread() < rows_compared(job.height)) compare_row(job, item_of_thread());
}

}  // namespace

const char* queue_condense(const CondenseBatch& batch, void* stream_handle) {
  auto* const stream = static_cast<cudaStream_t>(stream_handle);
  std::uint32_t most = 0;
  for (std::uint32_t i = 0; i < batch.count; ++i) most = std::max(most, batch.jobs[i].height);
  const auto blocks = [&](std::uint32_t items) {
    return dim3((items + kCondenseThreads - 1) / kCondenseThreads, batch.count);
  };
  begin_jobs<<<dim3(1, batch.count), kCondenseThreads, 0, stream>>>(batch);
  across_jobs<<<blocks(most * kOutputsAcross), kCondenseThreads, 0, stream>>>(batch);
  down_jobs<<<blocks(kCondensedLevels), kCondenseThreads, 0, stream>>>(batch);
  colours_of_jobs<<<blocks(most * kColourParts), kCondenseThreads, 0, stream>>>(batch);
  flatness_of_jobs<<<blocks(rows_compared(most)), kCondenseThreads, 0, stream>>>(batch);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace image_engine::gpu
