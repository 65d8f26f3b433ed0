#include "gpu/lanes.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace image_engine::gpu {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(LanesTest, NothingIsRecordedWithoutARecording) {
  record_lane("cuda:0 a", LaneWork::kBusy, steady_clock::now());
  const LaneRecording recording(true);
  EXPECT_TRUE(recording.events().empty());
  EXPECT_TRUE(recording.totals().empty());
}

TEST(LanesTest, TotalsAddUp) {
  const LaneRecording recording(true);
  const auto now = steady_clock::now();
  record_lane("b", LaneWork::kBusy, now - milliseconds(100));
  record_lane("a", LaneWork::kWait, now - milliseconds(300));
  record_lane("a", LaneWork::kWait, steady_clock::now());  // it was free
  const std::vector<LaneEvent> events = recording.events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].lane, "b");
  EXPECT_EQ(events[0].start, now - milliseconds(100));
  const std::vector<LaneTotals> totals = recording.totals();
  ASSERT_EQ(totals.size(), 2U);
  EXPECT_EQ(totals[0].lane, "a");
  EXPECT_EQ(totals[0].runs, 0U);
  EXPECT_GE(totals[0].wait, 0.3);
  EXPECT_EQ(totals[0].idle, 0);
  EXPECT_EQ(totals[1].runs, 1U);
  EXPECT_GE(totals[1].busy, 0.1);
  EXPECT_NEAR(totals[1].idle, 0, 1e-6);
}

TEST(LanesTest, TheTimeBetweenTwoRunsIsIdle) {
  const LaneRecording recording(false);
  { const LaneSpan first("a"); }
  const auto between = steady_clock::now();
  while (steady_clock::now() - between < milliseconds(2)) continue;
  { const LaneSpan second("a"); }
  EXPECT_TRUE(recording.events().empty());
  const std::vector<LaneTotals> totals = recording.totals();
  ASSERT_EQ(totals.size(), 1U);
  EXPECT_EQ(totals[0].runs, 2U);
  EXPECT_GE(totals[0].idle, 0.002);
}

TEST(LanesTest, ThreadsMayRecordWhileTheRecordingEnds) {
  std::jthread reporter([](const std::stop_token& stop) {
    while (!stop.stop_requested()) const LaneSpan span("a");
  });
  for (int i = 0; i < 200; ++i) {
    const LaneRecording recording(true);
    EXPECT_LE(recording.totals().size(), 1U);
  }
}

}  // namespace
}  // namespace image_engine::gpu
