#include "gpu/monitor.h"

#include <dlfcn.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <functional>

#include "tests/gpu/support.h"

namespace image_engine::gpu {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::chrono::milliseconds kOften{1};

// What fake_nvml.c tells, reading by reading; the last stays.
constexpr std::array kBusy = {0.05, 0.35, 0.95, 0.60};
constexpr std::array kUsed = {1000e6, 1500e6, 4000e6, 3000e6};
constexpr std::array kPower = {60.5, 200.0, 340.0, 300.0};

double mean_of(const std::array<double, 4>& values, std::uint64_t count) {
  double sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) sum += values[std::min<std::uint64_t>(i, 3)];
  return sum / static_cast<double>(count);
}

// The summaries once `enough` holds of them; fails when it never does.
std::vector<Summary> wait_for(const Monitor& monitor, const std::function<bool(const std::vector<Summary>&)>& enough) {
  for (int i = 0; i < 10'000; ++i) {
    std::vector<Summary> all = monitor.summaries();
    if (enough(all)) return all;
    std::this_thread::sleep_for(kOften);
  }
  ADD_FAILURE() << "the monitor never came so far";
  return monitor.summaries();
}

class MonitorTest : public WithFakeDriver {};

TEST_F(MonitorTest, HasReadEachGpuBeforeItReturns) {
  const Monitor monitor(*open(), std::chrono::hours(1));
  const std::vector<Summary> all = monitor.summaries();
  ASSERT_EQ(all.size(), 2U);
  for (const Summary& gpu : all) {
    EXPECT_EQ(gpu.samples, 1U);
    EXPECT_DOUBLE_EQ(gpu.utilisation.value().mean, 0.05);
    EXPECT_EQ(gpu.memory_added(), 0U);
    EXPECT_FALSE(gpu.energy);  // which takes two readings
    EXPECT_TRUE(reasons(gpu.held_back).empty());
    EXPECT_TRUE(gpu.last);
  }
}

TEST_F(MonitorTest, SumsUpMeansAndPeaks) {
  const auto start = std::chrono::steady_clock::now();
  const Monitor monitor(*open(), kOften);
  const Summary gpu = wait_for(monitor, [](const auto& all) { return all[0].samples >= 7; })[0];
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_NEAR(gpu.utilisation.value().mean, mean_of(kBusy, gpu.samples), 1e-9);
  EXPECT_DOUBLE_EQ(gpu.utilisation->peak, 0.95);
  EXPECT_NEAR(gpu.memory.value().mean, mean_of(kUsed, gpu.samples), 1);
  EXPECT_DOUBLE_EQ(gpu.memory->peak, 4000e6);
  EXPECT_EQ(gpu.memory_before, 1'000'000'000U);
  EXPECT_EQ(gpu.memory_added(), 3'000'000'000U);
  EXPECT_NEAR(gpu.power.value().mean, mean_of(kPower, gpu.samples), 1e-9);
  EXPECT_DOUBLE_EQ(gpu.power->peak, 340);
  EXPECT_DOUBLE_EQ(gpu.power_limit.value(), 350);
  EXPECT_GT(gpu.energy.value(), 0);
  EXPECT_LT(*gpu.energy, 340 * elapsed);  // never more than at its peak all the time
  EXPECT_DOUBLE_EQ(gpu.temperature_peak.value(), 71);
  EXPECT_THAT(reasons(gpu.held_back), ElementsAre("power-cap", "thermal"));
  EXPECT_EQ(gpu.error, "");
}

TEST_F(MonitorTest, AGpuLostInTheMiddleKeepsWhatItTold) {
  const Monitor monitor(*open("lost=1@2:1000000"), kOften);
  const auto all = wait_for(monitor, [](const auto& now) { return now[0].samples >= 6 && !now[1].error.empty(); });
  EXPECT_EQ(all[1].samples, 2U);
  EXPECT_THAT(all[1].error, HasSubstr("GPU is lost"));
  EXPECT_FALSE(all[1].last);
  EXPECT_NEAR(all[1].utilisation.value().mean, mean_of(kBusy, 2), 1e-9);
  EXPECT_EQ(all[1].memory_added(), 500'000'000U);
  EXPECT_EQ(all[0].error, "");
}

TEST_F(MonitorTest, AGpuThatComesBackIsReadAgain) {
  const Monitor monitor(*open("lost=0@1:3"), kOften);
  const Summary gpu = wait_for(monitor, [](const auto& all) { return all[0].samples >= 3; })[0];
  EXPECT_EQ(gpu.error, "");
  EXPECT_TRUE(gpu.last);
  EXPECT_DOUBLE_EQ(gpu.utilisation.value().peak, 0.60);  // what it did while it was lost is not known
}

TEST_F(MonitorTest, WhatIsNotToldIsAbsent) {
  const Monitor monitor(*open("unsupported"), kOften);
  const Summary gpu = wait_for(monitor, [](const auto& all) { return all[0].samples >= 3; })[0];
  EXPECT_FALSE(gpu.utilisation);
  EXPECT_FALSE(gpu.memory);
  EXPECT_FALSE(gpu.memory_added());
  EXPECT_FALSE(gpu.power);
  EXPECT_FALSE(gpu.energy);
  EXPECT_FALSE(gpu.temperature_peak);
  EXPECT_EQ(gpu.error, "");
}

TEST_F(MonitorTest, LetsGoOfTheDriver) {
  void* library = ::dlopen(IE_FAKE_NVML, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr);
  const auto users = reinterpret_cast<int (*)()>(::dlsym(library, "fake_nvml_users"));
  ASSERT_NE(users, nullptr);
  {
    const Monitor monitor(*open(), std::chrono::hours(1));
    EXPECT_EQ(users(), 1);
  }
  EXPECT_EQ(users(), 0);
  ::dlclose(library);
}

}  // namespace
}  // namespace image_engine::gpu
