#include "pipeline/phase_clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace image_engine::pipeline {
namespace {

void sleep_ms(int milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

// Of one core.
void work_for(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) continue;
}

TEST(PhaseClock, CountsEachMomentOnce) {
  PhaseReport start{"start"}, outer{"outer"}, inner{"inner"};
  PhaseClock clock(start);
  sleep_ms(5);
  {
    const PhaseClock::Scope first(clock, outer);
    sleep_ms(5);
    {
      const PhaseClock::Scope second(clock, inner);
      sleep_ms(20);
    }
    {
      const PhaseClock::Scope again(clock, inner);
      sleep_ms(20);
    }
  }
  const double whole = clock.stop();
  EXPECT_GE(start.seconds, 0.005);
  EXPECT_GE(outer.seconds, 0.005);
  EXPECT_GE(inner.seconds, 0.04);
  EXPECT_DOUBLE_EQ(start.seconds + outer.seconds + inner.seconds, whole);
}

TEST(PhaseClock, CountsTheCpuTimeOfThePhase) {
  PhaseReport idle{"idle"}, busy{"busy"};
  PhaseClock clock(idle);
  sleep_ms(50);
  {
    const PhaseClock::Scope phase(clock, busy);
    work_for(std::chrono::milliseconds(50));
  }
  clock.stop();
  EXPECT_GT(busy.cpu_seconds, idle.cpu_seconds);
  EXPECT_LE(busy.cpu_seconds, busy.seconds + 0.01) << "one thread";
}

TEST(PhaseClock, GivesNoRateWithoutTime) { EXPECT_EQ((PhaseReport{"empty", 3}).rate(), 0); }

}  // namespace
}  // namespace image_engine::pipeline
