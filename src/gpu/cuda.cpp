#include "gpu/cuda.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::gpu {

std::vector<std::string> library_folders() {
  std::vector<std::string> folders;
  const char* named = std::getenv("IMAGE_ENGINE_CUDA");
  for (std::string_view rest = named != nullptr ? named : ""; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(':'));
    if (!one.empty()) folders.emplace_back(one);
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
  }
  for (const char* ours : {"../lib", "../../onnxruntime-gpu/lib"})
    folders.push_back(join_path(executable_folder(), ours));
  return folders;
}

namespace {

// Of the CUDA driver API and runtime API references; both keep these signatures since CUDA 4.
using CuResult = int;
using CudaError = int;
constexpr int kCudaSuccess = 0;
constexpr CudaError kCudaOutOfMemory = 2;         // cudaErrorMemoryAllocation
constexpr int kComputeCapabilityMajor = 75;       // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
constexpr int kComputeCapabilityMinor = 76;       // …_MINOR
constexpr int kHostToDevice = 1;                  // cudaMemcpyHostToDevice
constexpr int kDeviceToHost = 2;                  // cudaMemcpyDeviceToHost
constexpr int kDeviceToDevice = 3;                // cudaMemcpyDeviceToDevice
constexpr unsigned kStreamNonBlocking = 1;        // cudaStreamNonBlocking
constexpr unsigned kHostAllocPortable = 1;        // cudaHostAllocPortable
constexpr int kLeastCuda = 13000;                 // the version of the libraries below
constexpr std::string_view kLeastDriver = "580";  // the first driver of CUDA 13.0 (its release notes)

// In order of dependency.
struct Library {
  const char* name;
  bool required;
};
constexpr Library kLibraries[] = {{"libcudart.so.13", true},     {"libnvrtc.so.13", false}, {"libcublasLt.so.13", true},
                                  {"libcublas.so.13", true},     {"libcurand.so.10", true}, {"libcufft.so.12", true},
                                  {"libnvJitLink.so.13", false}, {"libcudnn.so.9", true}};

// Found by name afterwards by the libraries that depend on it.
void* open_library(const char* name) {
  for (const std::string& folder : library_folders()) {
    const std::string file = join_path(folder, name);
    if (::access(file.c_str(), F_OK) == 0)
      if (void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL)) return library;
  }
  return ::dlopen(name, RTLD_NOW | RTLD_GLOBAL);
}

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

struct CudaDriver {
  int version = 0;
  CuResult (*count)(int*) = nullptr;
  CuResult (*get)(int*, int) = nullptr;
  CuResult (*name)(char*, int, int) = nullptr;
  CuResult (*attribute)(int*, int, int) = nullptr;
  CuResult (*memory)(std::size_t*, int) = nullptr;
  CuResult (*error_string)(CuResult, const char**) = nullptr;
};

Result<CudaDriver> load_driver() {
  void* library = open_library("libcuda.so.1");
  if (library == nullptr) return fail(ErrorCode::kNotFound, "no NVIDIA driver here: libcuda.so.1 is not found");
  CudaDriver driver;
  CuResult (*initialise)(unsigned) = nullptr;
  CuResult (*version)(int*) = nullptr;
  const bool whole =
      find(library, "cuInit", initialise) && find(library, "cuDriverGetVersion", version) &&
      find(library, "cuDeviceGetCount", driver.count) && find(library, "cuDeviceGet", driver.get) &&
      find(library, "cuDeviceGetName", driver.name) && find(library, "cuDeviceGetAttribute", driver.attribute) &&
      find(library, "cuDeviceTotalMem_v2", driver.memory) && find(library, "cuGetErrorString", driver.error_string);
  if (!whole) return fail(ErrorCode::kNotFound, "the NVIDIA driver's libcuda.so.1 is not supported");
  if (const CuResult result = initialise(0); result != kCudaSuccess) {
    const char* words = nullptr;
    driver.error_string(result, &words);
    return fail(ErrorCode::kNotFound, fmt::format("the NVIDIA driver does not start: {} (error {})",
                                                  words != nullptr ? words : "no reason given", result));
  }
  version(&driver.version);
  return driver;
}

const Result<CudaDriver>& driver() {
  static const Result<CudaDriver> kDriver = load_driver();
  return kDriver;
}

struct Runtime {
  CudaError (*set_device)(int) = nullptr;
  CudaError (*memory_info)(std::size_t*, std::size_t*) = nullptr;
  CudaError (*allocate)(void**, std::size_t) = nullptr;
  CudaError (*release)(void*) = nullptr;
  CudaError (*allocate_host)(void**, std::size_t, unsigned) = nullptr;
  CudaError (*release_host)(void*) = nullptr;
  CudaError (*copy)(void*, const void*, std::size_t, int, void*) = nullptr;
  CudaError (*make_stream)(void**, unsigned) = nullptr;
  CudaError (*destroy_stream)(void*) = nullptr;
  CudaError (*wait)(void*) = nullptr;
  CudaError (*forget_error)() = nullptr;
  const char* (*error_string)(CudaError) = nullptr;
};

Result<Runtime> load_runtime() {
  IE_CHECK(load_cuda_libraries());
  void* library = ::dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
  Runtime runtime;
  const bool whole =
      library != nullptr && find(library, "cudaSetDevice", runtime.set_device) &&
      find(library, "cudaMemGetInfo", runtime.memory_info) && find(library, "cudaMalloc", runtime.allocate) &&
      find(library, "cudaFree", runtime.release) && find(library, "cudaHostAlloc", runtime.allocate_host) &&
      find(library, "cudaFreeHost", runtime.release_host) && find(library, "cudaMemcpyAsync", runtime.copy) &&
      find(library, "cudaStreamCreateWithFlags", runtime.make_stream) &&
      find(library, "cudaStreamDestroy", runtime.destroy_stream) &&
      find(library, "cudaStreamSynchronize", runtime.wait) && find(library, "cudaGetLastError", runtime.forget_error) &&
      find(library, "cudaGetErrorString", runtime.error_string);
  if (!whole) return fail(ErrorCode::kNotFound, "libcudart.so.13 is not CUDA's runtime");
  return runtime;
}

const Result<Runtime>& runtime() {
  static const Result<Runtime> kRuntime = load_runtime();
  return kRuntime;
}

// Turns CUDA's result into a Status. Call only after runtime() has succeeded.
Status checked(CudaError result, std::string_view what) {
  if (result == kCudaSuccess) return {};
  runtime()->forget_error();
  return fail(result == kCudaOutOfMemory ? ErrorCode::kOutOfMemory : ErrorCode::kInternal,
              fmt::format("{}: {} (CUDA's error {})", what, runtime()->error_string(result), result));
}

Status use_device(int device) {
  if (!runtime()) return fail(runtime().error());
  return checked(runtime()->set_device(device), fmt::format("CUDA device {} cannot be used", device));
}

Status load_libraries() {
  if (!driver()) return fail(driver().error());
  if (driver()->version < kLeastCuda)
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("the NVIDIA driver is too old: it supports CUDA {}.{}, but 13.0 is needed (driver {} or later)",
                    driver()->version / 1000, driver()->version % 1000 / 10, kLeastDriver));
  for (const Library& library : kLibraries)
    if (open_library(library.name) == nullptr && library.required) {
      const char* reason = ::dlerror();
      return fail(ErrorCode::kNotFound,
                  fmt::format("{} cannot be loaded ({}): run `make setup GPU=1` in a source tree, or set "
                              "IMAGE_ENGINE_CUDA to the folders with CUDA 13 and cuDNN 9",
                              library.name, reason != nullptr ? printable(reason) : "not found"));
    }
  return {};
}

}  // namespace

Result<std::vector<CudaDevice>> cuda_devices() {
  if (!driver()) return fail(driver().error());
  int count = 0;
  if (const CuResult result = driver()->count(&count); result != kCudaSuccess || count == 0)
    return fail(ErrorCode::kNotFound, "the NVIDIA driver has no GPU");
  std::vector<CudaDevice> devices;
  for (int i = 0; i < count; ++i) {
    CudaDevice device;
    device.index = i;
    int handle = 0;
    char name[256] = {};
    std::size_t bytes = 0;
    if (driver()->get(&handle, i) != kCudaSuccess) continue;
    driver()->name(name, sizeof(name) - 1, handle);
    driver()->attribute(&device.major, kComputeCapabilityMajor, handle);
    driver()->attribute(&device.minor, kComputeCapabilityMinor, handle);
    driver()->memory(&bytes, handle);
    device.name = printable(name);
    device.memory_bytes = bytes;
    devices.push_back(std::move(device));
  }
  return devices;
}

Result<int> driver_cuda_version() {
  if (!driver()) return fail(driver().error());
  return driver()->version;
}

Status load_cuda_libraries() {
  static const Status kLoaded = load_libraries();
  return kLoaded;
}

Result<MemoryInfo> memory_info(int device) {
  IE_CHECK(use_device(device));
  MemoryInfo info;
  IE_CHECK(checked(runtime()->memory_info(&info.free, &info.total), "the GPU's memory is unknown"));
  return info;
}

Result<Stream> Stream::create(int device) {
  IE_CHECK(use_device(device));
  Stream stream;
  stream.device_ = device;
  void* handle = nullptr;
  IE_CHECK(checked(runtime()->make_stream(&handle, kStreamNonBlocking), "no CUDA stream"));
  stream.handle_.reset(handle);
  return stream;
}

void Stream::Destroy::operator()(void* stream) const { runtime()->destroy_stream(stream); }

Status Stream::wait() const { return checked(runtime()->wait(handle_.get()), "the GPU's work failed"); }

Result<DeviceBuffer> DeviceBuffer::create(int device, std::size_t bytes) {
  IE_CHECK(use_device(device));
  DeviceBuffer buffer;
  void* data = nullptr;
  IE_CHECK(checked(runtime()->allocate(&data, std::max<std::size_t>(bytes, 1)),
                   fmt::format("no {} on the GPU", human_bytes(bytes))));
  buffer.data_.reset(data);
  buffer.size_ = bytes;
  return buffer;
}

void DeviceBuffer::Free::operator()(void* data) const { runtime()->release(data); }

Result<PinnedBuffer> PinnedBuffer::create(std::size_t bytes) {
  if (!runtime()) return fail(runtime().error());
  PinnedBuffer buffer;
  void* data = nullptr;
  IE_CHECK(checked(runtime()->allocate_host(&data, std::max<std::size_t>(bytes, 1), kHostAllocPortable),
                   fmt::format("no {} of page-locked memory", human_bytes(bytes))));
  buffer.data_.reset(data);
  buffer.size_ = bytes;
  return buffer;
}

void PinnedBuffer::Free::operator()(void* data) const { runtime()->release_host(data); }

namespace {

// Virtual memory management of the CUDA driver API reference (CUDA 10.2 and later).
using CuAddress = unsigned long long;
using CuAllocation = unsigned long long;
struct AccessTo {    // CUmemAccessDesc
  int location = 1;  // CU_MEM_LOCATION_TYPE_DEVICE
  int device = 0;
  int flags = 3;  // CU_MEM_ACCESS_FLAGS_PROT_READWRITE: devices know no other
};
constexpr int kFileDescriptor = 1;  // CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR

struct VirtualMemory {
  CuResult (*import)(CuAllocation*, void*, int) = nullptr;
  CuResult (*reserve)(CuAddress*, std::size_t, std::size_t, CuAddress, unsigned long long) = nullptr;
  CuResult (*map)(CuAddress, std::size_t, std::size_t, CuAllocation, unsigned long long) = nullptr;
  CuResult (*set_access)(CuAddress, std::size_t, const AccessTo*, std::size_t) = nullptr;
  CuResult (*unmap)(CuAddress, std::size_t) = nullptr;
  CuResult (*free_address)(CuAddress, std::size_t) = nullptr;
  CuResult (*release)(CuAllocation) = nullptr;
};

const std::optional<VirtualMemory>& virtual_memory() {
  static const std::optional<VirtualMemory> kFound = []() -> std::optional<VirtualMemory> {
    void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    VirtualMemory found;
    const bool whole = library != nullptr && find(library, "cuMemImportFromShareableHandle", found.import) &&
                       find(library, "cuMemAddressReserve", found.reserve) && find(library, "cuMemMap", found.map) &&
                       find(library, "cuMemSetAccess", found.set_access) && find(library, "cuMemUnmap", found.unmap) &&
                       find(library, "cuMemAddressFree", found.free_address) &&
                       find(library, "cuMemRelease", found.release);
    return whole ? std::optional(found) : std::nullopt;
  }();
  return kFound;
}

}  // namespace

Result<std::shared_ptr<SharedMemory>> SharedMemory::import(int device, const UniqueFd& handle, std::size_t bytes) {
  IE_CHECK(use_device(device));
  const auto failed = [](const char* what, CuResult result) {
    return fail(ErrorCode::kInternal,
                fmt::format("the GPU worker's memory cannot be {} (CUDA's error {})", what, result));
  };
  if (!virtual_memory()) return failed("shared", 0);
  const VirtualMemory& calls = *virtual_memory();
  std::shared_ptr<SharedMemory> shared(new SharedMemory);
  auto* descriptor = reinterpret_cast<void*>(std::intptr_t{handle.get()});  // NOLINT(performance-no-int-to-ptr): theirs
  if (CuResult result = calls.import(&shared->allocation_, descriptor, kFileDescriptor); result != kCudaSuccess)
    return failed("opened", result);
  CuAddress address = 0;
  if (CuResult result = calls.reserve(&address, bytes, 0, 0, 0); result != kCudaSuccess)
    return failed("given an address", result);
  CuResult result = calls.map(address, bytes, 0, shared->allocation_, 0);
  if (result == kCudaSuccess) {
    const AccessTo access{.device = device};
    result = calls.set_access(address, bytes, &access, 1);
    if (result != kCudaSuccess) calls.unmap(address, bytes);
  }
  if (result != kCudaSuccess) {
    calls.free_address(address, bytes);
    return failed("mapped", result);
  }
  shared->data_ = reinterpret_cast<const std::byte*>(address);  // NOLINT(performance-no-int-to-ptr): the driver's
  shared->size_ = bytes;
  return shared;
}

SharedMemory::~SharedMemory() {
  const VirtualMemory& calls = *virtual_memory();
  if (data_ != nullptr) {
    const auto address = reinterpret_cast<CuAddress>(data_);
    calls.unmap(address, size_);
    calls.free_address(address, size_);
  }
  if (allocation_ != 0) calls.release(allocation_);
}

Status copy_to_device(void* device, const void* host, std::size_t bytes, const Stream& stream) {
  return checked(runtime()->copy(device, host, bytes, kHostToDevice, stream.handle()), "no copy to the GPU");
}

Status copy_on_device(void* to, const void* from, std::size_t bytes, const Stream& stream) {
  return checked(runtime()->copy(to, from, bytes, kDeviceToDevice, stream.handle()), "no copy on the GPU");
}

Status copy_to_host(void* host, const void* device, std::size_t bytes, const Stream& stream) {
  return checked(runtime()->copy(host, device, bytes, kDeviceToHost, stream.handle()), "no copy from the GPU");
}

}  // namespace image_engine::gpu
