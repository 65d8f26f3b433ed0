#include "nvidia/clock.h"

#include <algorithm>
#include <thread>

namespace image_engine::nvidia {
namespace {

constexpr std::chrono::milliseconds kGlance{50};  // between checks of whether the wait has ended

class SteadyClock final : public Clock {
 public:
  [[nodiscard]] Time now() const override { return std::chrono::steady_clock::now(); }
  bool wait_until(Time time, const std::function<bool()>& ended) override {
    for (Time current = now(); current < time; current = now()) {
      if (ended()) return false;
      std::this_thread::sleep_for(std::min<Time::duration>(time - current, kGlance));
    }
    return !ended();
  }
};

}  // namespace

Clock& steady_clock() {
  static SteadyClock clock;
  return clock;
}

}  // namespace image_engine::nvidia
