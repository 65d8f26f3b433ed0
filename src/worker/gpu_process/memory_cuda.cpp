#include <cuda.h>
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

namespace {

// The driver's function, without linking the driver.
template <typename Function>
Function* driver_function(const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  constexpr unsigned kCuda12 = 12000;  // has all of virtual memory management
  const cudaError_t error = cudaGetDriverEntryPointByVersion(name, &found, kCuda12, cudaEnableDefault, &result);
  const bool is_there = error == cudaSuccess && result == cudaDriverEntryPointSuccess;
  return is_there ? reinterpret_cast<Function*>(found) : nullptr;
}
#define IE_DRIVER_FUNCTION(name) driver_function<decltype(::name)>(#name)

Status driver_status(const char* what, CUresult result) {
  if (result == CUDA_SUCCESS) return {};
  return fail(result == CUDA_ERROR_OUT_OF_MEMORY ? ErrorCode::kOutOfMemory : ErrorCode::kInternal,
              fmt::format("{} (CUDA's error {})", what, static_cast<int>(result)));
}

}  // namespace

Result<ExportedMemory> allocate_exported(int device, std::size_t bytes) {
  auto* const granularity = IE_DRIVER_FUNCTION(cuMemGetAllocationGranularity);
  auto* const create = IE_DRIVER_FUNCTION(cuMemCreate);
  auto* const export_handle = IE_DRIVER_FUNCTION(cuMemExportToShareableHandle);
  auto* const reserve = IE_DRIVER_FUNCTION(cuMemAddressReserve);
  auto* const map = IE_DRIVER_FUNCTION(cuMemMap);
  auto* const set_access = IE_DRIVER_FUNCTION(cuMemSetAccess);
  if (!granularity || !create || !export_handle || !reserve || !map || !set_access)
    return fail(ErrorCode::kInternal, "the driver has no virtual memory management");
  CUmemAllocationProp wanted{};
  wanted.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  wanted.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  wanted.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
  std::size_t step = 0;
  IE_CHECK(driver_status("no granularity", granularity(&step, &wanted, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED)));
  ExportedMemory memory;
  memory.bytes = (bytes + step - 1) / step * step;
  CUmemGenericAllocationHandle allocation = 0;
  IE_CHECK(driver_status("no memory for models' inputs", create(&allocation, memory.bytes, &wanted, 0)));
  int descriptor = -1;
  IE_CHECK(driver_status("models' inputs cannot be shared",
                         export_handle(&descriptor, allocation, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0)));
  memory.handle.reset(descriptor);
  CUdeviceptr address = 0;
  IE_CHECK(driver_status("no address", reserve(&address, memory.bytes, 0, 0, 0)));
  IE_CHECK(driver_status("not mapped", map(address, memory.bytes, 0, allocation, 0)));
  const CUmemAccessDesc access{wanted.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  IE_CHECK(driver_status("no access", set_access(address, memory.bytes, &access, 1)));
  memory.data = reinterpret_cast<std::byte*>(address);  // NOLINT(performance-no-int-to-ptr): the driver's
  return memory;
}

void deallocate(MemoryKind kind, std::byte* memory) {
  if (kind == MemoryKind::kDevice)
    cudaFree(memory);
  else
    cudaFreeHost(memory);
}

}  // namespace image_engine::worker
