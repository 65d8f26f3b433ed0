#include <cuda_runtime.h>

#include "infer/ops/pictures_steps.h"

namespace image_engine::infer {
namespace {

constexpr std::uint32_t kPictureThreads = 256;

template <std::uint32_t kChannels>
__global__ void __launch_bounds__(kPictureThreads) turn(const __grid_constant__ LastChannels work) {
  const std::uint32_t index = blockIdx.x * kPictureThreads + threadIdx.x;
  if (index < turns_of(work)) run_turn<kChannels>(work, index);
}

template <typename Number>
__global__ void __launch_bounds__(kPictureThreads) take_most(const __grid_constant__ WindowMax work) {
  const std::uint32_t index = blockIdx.x * kPictureThreads + threadIdx.x;
  if (index < work.words) run_window<Number>(work, index);
}

std::uint32_t blocks_of(std::uint32_t threads) { return (threads + kPictureThreads - 1) / kPictureThreads; }

const char* launched() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

template <std::uint32_t kChannels>
struct GpuTurns {
  static const char* run(const LastChannels& work, void* stream) {
    turn<kChannels><<<blocks_of(turns_of(work)), kPictureThreads, 0, static_cast<cudaStream_t>(stream)>>>(work);
    return launched();
  }
};

}  // namespace

const char* run_last_on_gpu(const LastChannels& work, void* stream) { return run_turns<GpuTurns>(work, stream); }

const char* run_window_on_gpu(const WindowMax& work, void* stream) {
  auto* const queue = static_cast<cudaStream_t>(stream);
  if (work.is_half)
    take_most<Half><<<blocks_of(work.words), kPictureThreads, 0, queue>>>(work);
  else
    take_most<float><<<blocks_of(work.words), kPictureThreads, 0, queue>>>(work);
  return launched();
}

}  // namespace image_engine::infer
