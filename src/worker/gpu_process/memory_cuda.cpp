#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "core/text.h"
#include "worker/gpu_process/memory.h"

namespace image_engine::worker {

Result<std::byte*> allocate(MemoryKind kind, std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error =
      kind == MemoryKind::kDevice ? cudaMalloc(&memory, bytes) : cudaHostAlloc(&memory, bytes, cudaHostAllocPortable);
  if (error == cudaSuccess) return static_cast<std::byte*>(memory);
  return fail(ErrorCode::kOutOfMemory,
              fmt::format("{} of {} memory are not to be had: {}", human_bytes(bytes),
                          kind == MemoryKind::kDevice ? "the GPU's" : "page-locked", cudaGetErrorString(error)));
}

void deallocate(MemoryKind kind, std::byte* memory) {
  if (kind == MemoryKind::kDevice)
    cudaFree(memory);
  else
    cudaFreeHost(memory);
}

}  // namespace image_engine::worker
