// What GPUs did while something ran: read a few times a second in a thread of its own.
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

// NVML's own numbers move every 0.1 to 1 s, so more often tells no more.
inline constexpr std::chrono::milliseconds kSampleInterval{200};

// Of the readings of one number. Units are Reading's.
struct Spread {
  double mean = 0, peak = 0;
};

// One GPU so far. A number that it never told is absent.
struct Summary {
  Device device;
  std::uint64_t samples = 0;  // readings that came through
  std::string error;          // why the last reading did not; empty when it did
  std::optional<Spread> utilisation;
  std::optional<Spread> memory;                // bytes, of all programs
  std::optional<std::uint64_t> memory_before;  // bytes, by the first reading
  std::optional<Spread> power;
  std::optional<double> power_limit;       // the last
  std::optional<double> energy;            // joules: power over the time between readings that both came through
  std::optional<double> temperature_peak;  // °C
  std::uint64_t held_back = 0;             // all bits seen
  std::optional<Reading> last;             // absent when the last reading failed

  // Bytes at the peak beyond those of the first reading; absent as `memory` is.
  [[nodiscard]] std::optional<std::uint64_t> memory_added() const;
};

class Monitor {
 public:
  // Reads every GPU once before it returns, then each `interval` until it is destroyed.
  explicit Monitor(Nvml nvml, std::chrono::milliseconds interval = kSampleInterval);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  [[nodiscard]] const Driver& driver() const { return nvml_.driver(); }
  // In the order of Nvml::devices(). Thread-safe.
  [[nodiscard]] std::vector<Summary> summaries() const;

 private:
  using Clock = std::chrono::steady_clock;
  // A mean in the making.
  struct Series {
    double sum = 0, peak = 0;
    std::uint64_t count = 0;
    void add(std::optional<double> value);
    [[nodiscard]] std::optional<Spread> spread() const;
  };
  struct Watch {
    Summary summary;  // its spreads are made when they are asked for
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
