#include "nvidia/clock.h"

#include <algorithm>
#include <thread>

namespace image_engine::nvidia {
namespace {

constexpr std::chrono::milliseconds kGlance{50};  // between checks for cancellation

class SteadyClock final : public Clock {
 public:
  [[nodiscard]] Time now() const override { return std::chrono::steady_clock::now(); }
  bool wait_until(Time time, const std::function<bool()>& cancelled) override {
    for (Time current = now(); current < time; current = now()) {
      if (cancelled()) return false;
      std::this_thread::sleep_for(std::min<Time::duration>(time - current, kGlance));
    }
    return !cancelled();
  }
};

}  // namespace

Clock& steady_clock() {
  static SteadyClock clock;
  return clock;
}

}  // namespace image_engine::nvidia
