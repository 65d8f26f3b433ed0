#include <cuda_runtime.h>

#include "infer/ops/depthwise_steps.h"

namespace image_engine::infer {
namespace {

constexpr std::uint32_t kStripThreads = 128;
static_assert(sizeof(DepthwiseChain) <= 4096, "a kernel's arguments on all GPUs");

template <int kSize, int kStride, typename Number>
__global__ void __launch_bounds__(kStripThreads) convolve(const __grid_constant__ DepthwiseChain work) {
  const std::uint32_t index = blockIdx.x * kStripThreads + threadIdx.x;
  if (index < strips_of(work)) run_strip<kSize, kStride, Number>(work, index);
}

template <int kSize, int kStride, typename Number>
struct GpuStrips {
  static const char* run(const DepthwiseChain& work, void* stream) {
    const std::uint32_t blocks = (strips_of(work) + kStripThreads - 1) / kStripThreads;
    convolve<kSize, kStride, Number><<<blocks, kStripThreads, 0, static_cast<cudaStream_t>(stream)>>>(work);
    const cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
  }
};

}  // namespace

const char* run_depthwise_on_gpu(const DepthwiseChain& work, void* stream) {
  return run_strips<GpuStrips>(work, stream);
}

}  // namespace image_engine::infer
