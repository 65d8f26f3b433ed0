#include "nvidia/clock.h"

#include <gtest/gtest.h>

using namespace image_engine::nvidia;
using namespace std::chrono_literals;

TEST(SteadyClock, IsThatOfAllProcesses) {
  timespec time{};
  ASSERT_EQ(::clock_gettime(CLOCK_MONOTONIC, &time), 0);
  const auto here = steady_clock().now().time_since_epoch();
  EXPECT_LT(std::chrono::abs(here - (std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec))), 60s);
}

TEST(SteadyClock, WaitsUntilThenOrUntilCancelled) {
  const Time end = steady_clock().now() + 20ms;
  EXPECT_TRUE(steady_clock().wait_until(end, [] { return false; }));
  EXPECT_GE(steady_clock().now(), end);
  EXPECT_FALSE(steady_clock().wait_until(steady_clock().now() + 24h, [] { return true; }));
}
