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

template <std::uint32_t kOperands>
__global__ void __launch_bounds__(kChainThreads) run_plain_steps(const __grid_constant__ Chain chain) {
  const std::uint32_t first = (blockIdx.x * kPlainWords * kChainThreads + threadIdx.x) * kLanes;
  if (first < chain.count) run_plain<kOperands, kChainThreads * kLanes>(chain, first);
}

}  // namespace

const char* run_chain_on_gpu(const Chain& chain, void* stream) {
  const auto blocks = [&](std::uint32_t words) {
    const std::uint32_t of_block = kChainThreads * kLanes * words;
    return (chain.count + of_block - 1) / of_block;
  };
  auto* const queue = static_cast<cudaStream_t>(stream);
  if (chain.is_plain)
    with_operands(chain, [&](auto operands) {
      run_plain_steps<decltype(operands)::value><<<blocks(kPlainWords), kChainThreads, 0, queue>>>(chain);
    });
  else
    run_steps<<<blocks(1), kChainThreads, 0, queue>>>(chain);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace image_engine::infer
