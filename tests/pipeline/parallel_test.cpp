#include "pipeline/parallel.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace image_engine::pipeline {
namespace {

constexpr size_t kFiles = 64;

// While the sink commits, the threads go on reading.
TEST(ParallelFiles, ManyResultsMayWaitForABusySink) {
  constexpr size_t kInFlight = 32;
  std::mutex mutex;
  std::condition_variable worked;
  size_t done = 0;
  bool is_first = true;
  const auto work = [&](size_t index) {
    const std::lock_guard lock(mutex);
    ++done;
    worked.notify_all();
    return index;
  };
  const auto sink = [&](size_t, size_t) -> Status {
    std::unique_lock lock(mutex);
    if (is_first) {
      EXPECT_TRUE(worked.wait_for(lock, std::chrono::seconds(60), [&] { return done >= kInFlight; }));
    }
    is_first = false;
    return {};
  };
  EXPECT_TRUE(parallel_files(kFiles, 2, work, sink, {}, kInFlight));
  EXPECT_EQ(done, kFiles);
}

}  // namespace
}  // namespace image_engine::pipeline
