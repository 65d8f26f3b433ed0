// NVIDIA's GPUs, by the driver's management library (NVML). It is loaded at run time: neither building nor running
// needs a driver. A number that a driver or a GPU does not report is absent, never 0.
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
  std::string version;          // "580.82.07"; empty if unknown
  std::optional<Version> cuda;  // the newest CUDA version that it supports
};

struct Device {
  unsigned index = 0;  // NVML's, in PCI bus order; CUDA's may differ
  std::string name;    // "NVIDIA H100 80GB HBM3"; empty if unknown
  std::string uuid;    // "GPU-…"; likewise
  std::optional<Version> compute_capability;
  std::optional<std::uint64_t> memory;  // bytes
};

// One reading of one GPU, including all programs on it.
struct Reading {
  std::optional<double> utilisation;         // share of the last moments in which a kernel ran, in [0, 1]
  std::optional<std::uint64_t> memory_used;  // bytes; before driver 510 including the driver's own
  std::optional<double> power, power_limit;  // watts
  std::optional<double> temperature;         // °C
  std::uint64_t held_back = 0;               // why the clocks are low, as bits for reasons(); 0 also if unknown
};

// Stable names of what limits a GPU's clocks ("power-cap", "thermal", …); idling does not count.
std::vector<std::string_view> reasons(std::uint64_t held_back);

class Nvml {
 public:
  // Loads only $IMAGE_ENGINE_NVML if set; otherwise libnvidia-ml.so.1 by the system's loader, or WSL's. kNotFound: no
  // driver or no GPU here; kUnsupported: the driver does not work. Either message is one line for a person. May take a
  // second if the driver must wake the GPUs.
  static Result<Nvml> open();

  [[nodiscard]] const Driver& driver() const { return driver_; }
  // At least one. Omits GPUs that the driver cannot reach.
  [[nodiscard]] const std::vector<Device>& devices() const { return devices_; }

  // Reads devices()[position]. kIo when that GPU is lost; others, and later readings, are not affected. Thread-safe.
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
