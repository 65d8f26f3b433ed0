#include <cuda_runtime.h>

#include "infer/ops/deformable_steps.h"

namespace image_engine::infer {
namespace {

constexpr std::uint32_t kSampleThreads = 128;

__global__ void __launch_bounds__(kSampleThreads) sample(const __grid_constant__ Deformable work) {
  const std::uint32_t index = blockIdx.x * kSampleThreads + threadIdx.x;
  if (index < samples_of(work)) run_sample(work, index);
}

}  // namespace

const char* run_deformable_on_gpu(const Deformable& work, void* stream) {
  const std::uint32_t blocks = (samples_of(work) + kSampleThreads - 1) / kSampleThreads;
  sample<<<blocks, kSampleThreads, 0, static_cast<cudaStream_t>(stream)>>>(work);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace image_engine::infer
