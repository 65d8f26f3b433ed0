// CUDA's driver and runtime, loaded on first use: building needs neither. All functions are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::gpu {

struct CudaDevice {
  int index = 0;
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::uint64_t memory_bytes = 0;
};

// The driver's GPUs. kNotFound, in one line: no driver, no GPU, or the driver fails.
Result<std::vector<CudaDevice>> cuda_devices();

// The newest CUDA version that the driver supports, 13000 for 13.0. kNotFound as above.
Result<int> driver_cuda_version();

// Where libraries for GPUs are looked for before the system's loader is asked: the folders of $IMAGE_ENGINE_CUDA, and
// those of `make setup GPU=1`.
std::vector<std::string> library_folders();

// Loads the libraries for models on a GPU: CUDA 13's runtime, cuBLAS, cuFFT, cuRAND and cuDNN 9. Searches the folders
// of $IMAGE_ENGINE_CUDA (separated by colons), those of `make setup GPU=1`, and the system loader's. kNotFound names
// the first missing one and the remedy; kUnsupported: the driver is too old for CUDA 13.
Status load_cuda_libraries();

struct MemoryInfo {
  std::size_t free = 0, total = 0;  // bytes
};
Result<MemoryInfo> memory_info(int device);

// A queue of work on a GPU; the work of one stream runs in order. kOutOfMemory, kInternal.
class Stream {
 public:
  static Result<Stream> create(int device);
  [[nodiscard]] void* handle() const { return handle_.get(); }  // a cudaStream_t
  [[nodiscard]] int device() const { return device_; }
  // Waits for all queued work. kInternal: some of it failed, with CUDA's message.
  [[nodiscard]] Status wait() const;

 private:
  struct Destroy {
    void operator()(void* stream) const;
  };
  int device_ = 0;
  std::unique_ptr<void, Destroy> handle_;
};

// Uninitialised GPU memory. kOutOfMemory.
class DeviceBuffer {
 public:
  static Result<DeviceBuffer> create(int device, std::size_t bytes);
  [[nodiscard]] void* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(void* data) const;
  };
  std::unique_ptr<void, Free> data_;
  std::size_t size_ = 0;
};

// Page-locked host memory, which a GPU accesses directly. kOutOfMemory.
class PinnedBuffer {
 public:
  static Result<PinnedBuffer> create(std::size_t bytes);
  [[nodiscard]] std::byte* data() const { return static_cast<std::byte*>(data_.get()); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(void* data) const;
  };
  std::unique_ptr<void, Free> data_;
  std::size_t size_ = 0;
};

// Memory that another process has allocated on this GPU, by the driver's virtual memory management.
class SharedMemory {
 public:
  // `handle`: the exported file descriptor of the whole allocation of `bytes`. kInternal.
  static Result<std::shared_ptr<SharedMemory>> import(int device, const UniqueFd& handle, std::size_t bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  [[nodiscard]] const std::byte* data() const { return data_; }

 private:
  SharedMemory() = default;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  unsigned long long allocation_ = 0;  // a CUmemGenericAllocationHandle
};

// Queue a copy of `bytes`; both buffers must live until it is done. kInternal.
Status copy_to_device(void* device, const void* host, std::size_t bytes, const Stream& stream);
Status copy_on_device(void* to, const void* from, std::size_t bytes, const Stream& stream);
Status copy_to_host(void* host, const void* device, std::size_t bytes, const Stream& stream);

}  // namespace image_engine::gpu
