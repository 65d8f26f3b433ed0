// Monitors GPUs: a separate thread reads them a few times a second.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gpu/nvml.h"

namespace image_engine::gpu {

// NVML updates its numbers every 0.1 to 1 s, so shorter intervals add no information.
inline constexpr std::chrono::milliseconds kSampleInterval{200};

// Statistics of one number's readings. Units as in Reading.
struct Spread {
  double mean = 0, peak = 0;
};

// The summary of one GPU. A number that it never reported is absent.
struct Summary {
  Device device;
  std::uint64_t samples = 0;  // successful readings
  std::string error;          // of the last reading; empty: it succeeded
  std::optional<Spread> utilisation;
  std::optional<Spread> memory;                // bytes, of all programs
  std::optional<std::uint64_t> memory_before;  // bytes, at the first reading
  std::optional<Spread> power;
  std::optional<double> power_limit;       // the last
  std::optional<double> energy;            // joules: power × time between successful readings
  std::optional<double> temperature_peak;  // °C
  std::uint64_t held_back = 0;             // all bits seen in readings
  std::optional<Reading> last;             // absent when the last reading failed

  // Peak bytes minus those of the first reading; absent if `memory` is.
  [[nodiscard]] std::optional<std::uint64_t> memory_added() const;
};

class Monitor {
 public:
  // Reads every GPU once before it returns, then every `interval` until destroyed.
  explicit Monitor(Nvml nvml, std::chrono::milliseconds interval = kSampleInterval);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  [[nodiscard]] const Driver& driver() const { return nvml_.driver(); }
  // In the order of Nvml::devices(). Thread-safe.
  [[nodiscard]] std::vector<Summary> summaries() const;

 private:
  using Clock = std::chrono::steady_clock;
  // A running mean.
  struct Series {
    double sum = 0, peak = 0;
    std::uint64_t count = 0;
    void add(std::optional<double> value);
    [[nodiscard]] std::optional<Spread> spread() const;
  };
  struct Watch {
    Summary summary;  // its spreads are computed on request
    Series utilisation, memory, power;
    Clock::time_point when;  // of the last reading
  };
  static void add(Watch& watch, const Result<Reading>& reading, Clock::time_point now);
  void sample();
  void work();

  Nvml nvml_;
  std::chrono::milliseconds interval_;
  std::vector<Watch> watches_;  // guarded by mutex_, as is stopping_
  bool stopping_ = false;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace image_engine::gpu
