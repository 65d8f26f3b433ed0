// The clock for pacing and retrying, so that tests need not wait.
#pragma once

#include <chrono>
#include <functional>

namespace image_engine::nvidia {

using Time = std::chrono::steady_clock::time_point;  // monotonic, the same for all processes since the machine started

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Time now() const = 0;
  // False when `ended`, which is called several times a second, returned true before.
  virtual bool wait_until(Time time, const std::function<bool()>& ended) = 0;
};

// The machine's clock. Thread-safe.
Clock& steady_clock();

}  // namespace image_engine::nvidia
