// Time that passes only when somebody waits for it.
#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "nvidia/clock.h"

namespace image_engine::nvidia {

class VirtualClock final : public Clock {
 public:
  [[nodiscard]] Time now() const override { return Time(std::chrono::nanoseconds(now_)); }
  bool wait_until(Time time, const std::function<bool()>& ended) override {
    const std::scoped_lock lock(mutex_);
    if (ended()) return false;
    if (time > now()) waits_.push_back(time - now());
    set(std::max(time, now()));
    return true;
  }
  void set(Time time) { now_ = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count(); }
  [[nodiscard]] std::vector<Time::duration> waits() const {
    const std::scoped_lock lock(mutex_);
    return waits_;
  }

 private:
  mutable std::mutex mutex_;
  std::atomic<std::int64_t> now_{1'000'000'000'000};
  std::vector<Time::duration> waits_;
};

}  // namespace image_engine::nvidia
