#include "gpu/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <initializer_list>

#include "core/text.h"

namespace image_engine::gpu {
namespace {

constexpr const char* kVariable = "IMAGE_ENGINE_NVML";
constexpr const char* kName = "libnvidia-ml.so.1";
// The second is where Windows puts its driver's library in WSL2, known to the loader or not.
constexpr std::array kFiles = {kName, "/usr/lib/wsl/lib/libnvidia-ml.so.1"};

// NVML's C interface, by its API reference: types of the same layout, and the relevant values of nvmlReturn_t.
struct NvmlMemory {
  unsigned long long total, free, used;  // bytes; what the driver keeps for itself counts as used
};
struct NvmlMemory2 {
  unsigned int version;  // NVML_STRUCT_VERSION(Memory, 2)
  unsigned long long total, reserved, free, used;
};
constexpr unsigned kMemoryInfo2 = sizeof(NvmlMemory2) | 2U << 24;
struct Utilisation {
  unsigned int gpu, memory;  // per cent of time
};
constexpr unsigned kTextSize = 96;     // NVML_DEVICE_NAME_V2_BUFFER_SIZE, the largest of its texts
constexpr unsigned kSensorOfGpu = 0;   // NVML_TEMPERATURE_GPU
constexpr unsigned kMaxDevices = 256;  // larger values are invalid
enum Code : int {
  kSuccess = 0,
  kUninitialized = 1,
  kInvalidArgument = 2,
  kNoPermission = 4,
  kDriverNotLoaded = 9,
  kGpuIsLost = 15,
  kResetRequired = 16,
  kVersionMismatch = 18,
};

using GetText = int(char*, unsigned);
using GetNumber = int(int*);
using DeviceText = int(void*, char*, unsigned);
using DeviceNumber = int(void*, unsigned*);

struct Trouble {
  Code code;
  const char* what;
};
constexpr std::array kTroubles = {
    Trouble{kDriverNotLoaded, "the NVIDIA driver is installed, but its kernel module is not loaded"},
    Trouble{kVersionMismatch, "the NVIDIA driver was changed under its running kernel module: restart the machine"},
    Trouble{kNoPermission, "this user may not use the NVIDIA driver (/dev/nvidia*)"},
};

struct Reason {
  std::uint64_t bit;  // nvmlClocksEventReasons
  std::string_view name;
};
constexpr std::array kReasons = {
    Reason{0x002, "clocks-setting"}, Reason{0x004, "power-cap"},     Reason{0x008, "hardware-slowdown"},
    Reason{0x010, "sync-boost"},     Reason{0x020, "thermal"},       Reason{0x040, "hardware-thermal"},
    Reason{0x080, "power-brake"},    Reason{0x100, "display-clock"},
};

// The first of the names that the library has; older drivers have fewer.
template <typename Function>
Function* symbol(void* library, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (void* found = ::dlsym(library, name)) return reinterpret_cast<Function*>(found);
  return nullptr;
}

Result<void*> open_library() {
  const char* named = std::getenv(kVariable);
  if (named != nullptr && *named != '\0') {
    if (void* library = ::dlopen(named, RTLD_NOW | RTLD_LOCAL)) return library;
    const char* reason = ::dlerror();
    return fail(ErrorCode::kNotFound, fmt::format("no NVIDIA driver here: {} names {}", kVariable,
                                                  printable(reason != nullptr ? reason : named)));
  }
  for (const char* file : kFiles)
    if (void* library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL)) return library;
  return fail(ErrorCode::kNotFound, fmt::format("no NVIDIA driver here: {} is not found", kName));
}

// A number of a device, if the driver has the function and the device reports it.
template <typename Number>
std::optional<Number> answer(int (*function)(void*, Number*), void* device, int& code) {
  Number number{};
  code = function != nullptr ? function(device, &number) : kSuccess;
  return function != nullptr && code == kSuccess ? std::optional(number) : std::nullopt;
}

std::string text_of(DeviceText* function, void* device) {
  std::array<char, kTextSize + 1> text{};
  if (function == nullptr || function(device, text.data(), kTextSize) != kSuccess) return {};
  return to_utf8(text.data());
}

std::optional<double> thousandths(std::optional<unsigned> number) {
  return number ? std::optional(*number / 1000.0) : std::nullopt;
}

// Whether the device itself is gone; any other answer concerns only what was asked.
bool is_lost(int code) {
  return code == kGpuIsLost || code == kResetRequired || code == kUninitialized || code == kInvalidArgument;
}

}  // namespace

// The library is never closed, as other code in the process may use it; only our use ends. All functions except the
// essential ones may be missing.
struct Nvml::Library {
  explicit Library(void* file)
      : init(symbol<int()>(file, {"nvmlInit_v2"})),
        shutdown(symbol<int()>(file, {"nvmlShutdown"})),
        error_text(symbol<const char*(int)>(file, {"nvmlErrorString"})),
        driver_version(symbol<GetText>(file, {"nvmlSystemGetDriverVersion"})),
        cuda_version(symbol<GetNumber>(file, {"nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion"})),
        count(symbol<int(unsigned*)>(file, {"nvmlDeviceGetCount_v2"})),
        handle(symbol<int(unsigned, void**)>(file, {"nvmlDeviceGetHandleByIndex_v2"})),
        name(symbol<DeviceText>(file, {"nvmlDeviceGetName"})),
        uuid(symbol<DeviceText>(file, {"nvmlDeviceGetUUID"})),
        compute(symbol<int(void*, int*, int*)>(file, {"nvmlDeviceGetCudaComputeCapability"})),
        memory1(symbol<int(void*, NvmlMemory*)>(file, {"nvmlDeviceGetMemoryInfo"})),
        memory2(symbol<int(void*, NvmlMemory2*)>(file, {"nvmlDeviceGetMemoryInfo_v2"})),
        utilisation(symbol<int(void*, Utilisation*)>(file, {"nvmlDeviceGetUtilizationRates"})),
        power(symbol<DeviceNumber>(file, {"nvmlDeviceGetPowerUsage"})),
        power_limit(symbol<DeviceNumber>(file, {"nvmlDeviceGetEnforcedPowerLimit"})),
        temperature(symbol<int(void*, unsigned, unsigned*)>(file, {"nvmlDeviceGetTemperature"})),
        held_back(symbol<int(void*, unsigned long long*)>(
            file, {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"})) {}

  [[nodiscard]] bool usable() const { return init && shutdown && count && handle; }
  [[nodiscard]] std::string explain(int code) const {
    const auto* known =
        std::find_if(kTroubles.begin(), kTroubles.end(), [&](const Trouble& t) { return t.code == code; });
    if (known != kTroubles.end()) return known->what;
    const char* text = error_text != nullptr ? error_text(code) : nullptr;
    return text != nullptr ? fmt::format("the NVIDIA driver reports: {}", printable(text))
                           : fmt::format("the NVIDIA driver returned error {}", code);
  }

  // As in nvidia-smi, if the driver can (since version 510).
  std::optional<NvmlMemory> memory(void* device, int& code) const {
    NvmlMemory2 info{kMemoryInfo2, 0, 0, 0, 0};
    code = memory2 != nullptr ? memory2(device, &info) : kSuccess;
    if (memory2 != nullptr && code == kSuccess) return NvmlMemory{info.total, info.free, info.used};
    return answer(memory1, device, code);
  }

  int (*init)();
  int (*shutdown)();
  const char* (*error_text)(int);
  GetText* driver_version;
  GetNumber* cuda_version;
  int (*count)(unsigned*);
  int (*handle)(unsigned, void**);
  DeviceText *name, *uuid;
  int (*compute)(void*, int*, int*);
  int (*memory1)(void*, NvmlMemory*);
  int (*memory2)(void*, NvmlMemory2*);
  int (*utilisation)(void*, Utilisation*);
  DeviceNumber *power, *power_limit;
  int (*temperature)(void*, unsigned, unsigned*);
  int (*held_back)(void*, unsigned long long*);
};

void Nvml::Shutdown::operator()(Library* library) const {
  library->shutdown();
  delete library;
}

std::string Version::text() const { return fmt::format("{}.{}", major, minor); }

std::vector<std::string_view> reasons(std::uint64_t held_back) {
  std::vector<std::string_view> names;
  for (const Reason& reason : kReasons)
    if ((held_back & reason.bit) != 0) names.push_back(reason.name);
  return names;
}

Result<Nvml> Nvml::open() {
  IE_TRY(void* file, open_library());
  auto library = std::make_unique<Library>(file);
  if (!library->usable())
    return fail(ErrorCode::kUnsupported, fmt::format("{} is too old: it lacks nvmlInit_v2", kName));
  if (const int code = library->init(); code != kSuccess) return fail(ErrorCode::kUnsupported, library->explain(code));
  Nvml nvml{LibraryHandle(library.release())};
  nvml.ask_driver();
  IE_CHECK(nvml.find_devices());
  return nvml;
}

void Nvml::ask_driver() {
  std::array<char, kTextSize + 1> text{};
  if (library_->driver_version != nullptr && library_->driver_version(text.data(), kTextSize) == kSuccess)
    driver_.version = to_utf8(text.data());
  int cuda = 0;  // 13020 is 13.2
  if (library_->cuda_version != nullptr && library_->cuda_version(&cuda) == kSuccess)
    driver_.cuda = Version{cuda / 1000, cuda % 1000 / 10};
}

Status Nvml::find_devices() {
  unsigned count = 0;
  if (const int code = library_->count(&count); code != kSuccess)
    return fail(ErrorCode::kUnsupported, library_->explain(code));
  std::string trouble;
  for (unsigned index = 0; index < std::min(count, kMaxDevices); ++index) {
    void* handle = nullptr;
    if (const int code = library_->handle(index, &handle); code != kSuccess) {
      trouble = library_->explain(code);
      continue;
    }
    Device device{index, text_of(library_->name, handle), text_of(library_->uuid, handle), {}, {}};
    Version compute;
    if (library_->compute != nullptr && library_->compute(handle, &compute.major, &compute.minor) == kSuccess)
      device.compute_capability = compute;
    int ignored = kSuccess;
    if (const auto memory = library_->memory(handle, ignored)) device.memory = memory->total;
    devices_.push_back(std::move(device));
    handles_.push_back(handle);
  }
  if (devices_.empty() && !trouble.empty()) return fail(ErrorCode::kUnsupported, trouble);
  if (devices_.empty()) return fail(ErrorCode::kNotFound, "there is an NVIDIA driver here, but no GPU");
  return {};
}

Result<Reading> Nvml::read(std::size_t position) const {
  void* device = handles_[position];
  std::array<int, 6> codes{};
  const auto use = answer(library_->utilisation, device, codes[0]);
  const auto memory = library_->memory(device, codes[1]);
  const auto power = answer(library_->power, device, codes[2]);
  const auto limit = answer(library_->power_limit, device, codes[3]);
  const auto held_back = answer(library_->held_back, device, codes[4]);
  unsigned temperature = 0;
  bool warm = library_->temperature != nullptr;
  if (warm) codes[5] = library_->temperature(device, kSensorOfGpu, &temperature);
  warm = warm && codes[5] == kSuccess;
  if (const auto* lost = std::find_if(codes.begin(), codes.end(), is_lost); lost != codes.end())
    return fail(ErrorCode::kIo, fmt::format("GPU {}: {}", devices_[position].index, library_->explain(*lost)));
  Reading reading;
  if (use) reading.utilisation = std::min(use->gpu, 100U) / 100.0;
  if (memory) reading.memory_used = memory->used;
  reading.power = thousandths(power);
  reading.power_limit = thousandths(limit);
  if (warm) reading.temperature = temperature;
  reading.held_back = held_back.value_or(0);
  return reading;
}

}  // namespace image_engine::gpu
