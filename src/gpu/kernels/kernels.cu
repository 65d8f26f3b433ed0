#include <cuda_runtime.h>

#include "gpu/kernels/queue.h"
#include "gpu/kernels/steps.h"

namespace image_engine::gpu {
namespace {

constexpr std::uint32_t kAxisThreads = 64;

__global__ void clear_sums(const __grid_constant__ Batch batch) { ClearStep{batch}.run(blockIdx.x, threadIdx.x); }

__global__ void weigh_taps(const __grid_constant__ Batch batch) {
  const AxisTaps& taps = batch.axes[blockIdx.y];
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < taps.length) weigh(taps, i);
}

__global__ void round_taps_of_axes(const __grid_constant__ Batch batch) {
  const AxisTaps& taps = batch.axes[blockIdx.y];
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < taps.length) round_weights(taps, i);
}

__global__ void __launch_bounds__(kThreads) reduce_across(const __grid_constant__ Batch batch) {
  extern __shared__ std::uint32_t shared[];
  const Job& job = batch.jobs[blockIdx.z];
  const AcrossBlock block(batch, job, blockIdx.x, blockIdx.y, shared);
  if (!block.exists()) return;
  const std::uint32_t thread = threadIdx.x;
  ThreadLuma luma;
  block.begin(thread);
  __syncthreads();
  for (std::uint32_t y = block.rows_begin(); y < block.rows_end(); y += kStagedRows) {
    block.stage(y, thread);
    __syncthreads();
    block.take(y, thread, luma);
    if (job.shrink != 1) __syncthreads();
    block.reduce(y, thread);
    __syncthreads();
  }
  if (job.luma == nullptr) return;
  block.leave(thread, luma);
  __syncthreads();
  block.finish(thread);
}

__global__ void __launch_bounds__(kThreads) reduce_down(const __grid_constant__ Batch batch) {
  const Job& job = batch.jobs[blockIdx.z];
  const std::uint32_t x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
  if (x < batch.axes[job.across].length && y < batch.axes[job.down].length) make_pixel(batch, job, x, y);
}

__global__ void __launch_bounds__(kThreads) pad(const __grid_constant__ Batch batch) {
  make_padding(batch.jobs[blockIdx.z].target, blockIdx.x * blockDim.x + threadIdx.x, blockIdx.y);
}

std::uint32_t blocks_for(std::uint32_t items, std::uint32_t threads) { return (items + threads - 1) / threads; }

}  // namespace

const char* queue_batch(const Batch& batch, const Extents& extents, void* stream_handle) {
  auto* const stream = static_cast<cudaStream_t>(stream_handle);
  const dim3 axes(blocks_for(extents.axis_length, kAxisThreads), batch.axis_count);
  clear_sums<<<batch.job_count + 1, ClearStep::threads(), 0, stream>>>(batch);
  weigh_taps<<<axes, kAxisThreads, 0, stream>>>(batch);
  round_taps_of_axes<<<axes, kAxisThreads, 0, stream>>>(batch);
  reduce_across<<<dim3(extents.segments, extents.row_groups, batch.job_count), kThreads, extents.shared_bytes,
                  stream>>>(batch);
  reduce_down<<<dim3(blocks_for(extents.part_width, kThreads), extents.part_height, batch.job_count), kThreads, 0,
                stream>>>(batch);
  if (extents.pad_width != 0)
    pad<<<dim3(blocks_for(extents.pad_width, kThreads), extents.pad_height, batch.job_count), kThreads, 0, stream>>>(
        batch);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace image_engine::gpu
