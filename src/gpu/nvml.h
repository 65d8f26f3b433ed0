// NVIDIA's GPUs, as the driver's management library (NVML) tells of them. It is opened at run time: neither building
// nor running needs a driver. A number that a driver or a GPU does not tell is absent here, never 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::gpu {

struct Version {
  int major = 0, minor = 0;
  [[nodiscard]] std::string text() const;  // "9.0"
};

struct Driver {
  std::string version;          // "580.82.07"; empty when it does not say
  std::optional<Version> cuda;  // the newest CUDA that it runs
};

struct Device {
  unsigned index = 0;  // NVML's, in the order of the PCI bus; CUDA may number otherwise
  std::string name;    // "NVIDIA H100 80GB HBM3"; empty when it does not say
  std::string uuid;    // "GPU-…"; likewise
  std::optional<Version> compute_capability;
  std::optional<std::uint64_t> memory;  // bytes
};

// One look at one GPU. All programs on it count.
struct Reading {
  std::optional<double> utilisation;         // share of the last moments in which a kernel ran, in [0, 1]
  std::optional<std::uint64_t> memory_used;  // bytes; before driver 510 with what the driver keeps for itself
  std::optional<double> power, power_limit;  // watts
  std::optional<double> temperature;         // °C
  std::uint64_t held_back = 0;  // why the clocks are low, as bits that `reasons` names; 0, too, when not told
};

// What holds a GPU back, by stable names ("power-cap", "thermal", …); an idle GPU is not held back.
std::vector<std::string_view> reasons(std::uint64_t held_back);

class Nvml {
 public:
  // $IMAGE_ENGINE_NVML when set, and nothing else then; otherwise libnvidia-ml.so.1 where the system's loader finds it,
  // or WSL's. kNotFound: no driver or no GPU here; kUnsupported: there is a driver, but it does not work. Either says
  // so in one line for a person. May take a second where the driver has to wake the GPUs first.
  static Result<Nvml> open();

  [[nodiscard]] const Driver& driver() const { return driver_; }
  // At least one. A GPU that the driver cannot reach is left out.
  [[nodiscard]] const std::vector<Device>& devices() const { return devices_; }

  // devices()[position] now. kIo when that GPU is lost; the others, and later readings, are unharmed. Thread-safe.
  [[nodiscard]] Result<Reading> read(std::size_t position) const;

 private:
  struct Library;
  struct Shutdown {
    void operator()(Library* library) const;
  };
  using LibraryHandle = std::unique_ptr<Library, Shutdown>;

  explicit Nvml(LibraryHandle library) : library_(std::move(library)) {}
  void ask_driver();
  Status find_devices();

  LibraryHandle library_;
  Driver driver_;
  std::vector<Device> devices_;
  std::vector<void*> handles_;  // NVML's, of devices_
};

}  // namespace image_engine::gpu
