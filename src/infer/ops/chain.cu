#include <cuda_runtime.h>

#include "infer/ops/chain_steps.h"

namespace image_engine::infer {
namespace {

constexpr std::uint32_t kChainThreads = 256;
static_assert(sizeof(Chain) <= 4096, "a kernel's arguments on all GPUs");

__global__ void __launch_bounds__(kChainThreads) run_steps(const __grid_constant__ Chain chain) {
  const std::uint32_t first = (blockIdx.x * kChainThreads + threadIdx.x) * kLanes;
  if (first < chain.count) run_lane(chain, first);
}

}  // namespace

const char* run_chain_on_gpu(const Chain& chain, void* stream) {
  constexpr std::uint32_t kOfBlock = kChainThreads * kLanes;
  const std::uint32_t blocks = (chain.count + kOfBlock - 1) / kOfBlock;
  run_steps<<<blocks, kChainThreads, 0, static_cast<cudaStream_t>(stream)>>>(chain);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace image_engine::infer
