// What GPUs do at which time, lane by lane, for reports and traces. A lane is a queue of work on one GPU: a copy of a
// model, a decoder. All functions are thread-safe; without a recording they cost a lock and do nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace image_engine::gpu {

enum class LaneWork : std::uint8_t {
  kBusy,  // copies to the GPU, its work, copies back
  kWait,  // a thread waits until the lane is free
};

struct LaneEvent {
  std::string lane;
  LaneWork work = LaneWork::kBusy;
  std::chrono::steady_clock::time_point start;
  std::chrono::steady_clock::duration length{};
};

// Of one lane while it was recorded.
struct LaneTotals {
  std::string lane;
  std::uint64_t runs = 0;
  double busy = 0;  // seconds
  double wait = 0;  // seconds that threads waited for it, over all threads
  double idle = 0;  // seconds from the beginning of its first run to the end of its last in which it was not busy
};

// Records what all lanes of the process report from now on; one at a time counts, the latest. Memory grows with the
// number of events only with `keeps_events`.
class LaneRecording {
 public:
  explicit LaneRecording(bool keeps_events);
  ~LaneRecording();
  LaneRecording(const LaneRecording&) = delete;
  LaneRecording& operator=(const LaneRecording&) = delete;

  // By name.
  [[nodiscard]] std::vector<LaneTotals> totals() const;
  // In the order in which they ended.
  [[nodiscard]] std::vector<LaneEvent> events() const;

 private:
  friend void record_lane(std::string_view lane, LaneWork work, std::chrono::steady_clock::time_point start,
                          std::chrono::steady_clock::time_point end);
  struct Lane {
    LaneTotals totals;
    std::chrono::steady_clock::time_point first, last;
  };
  void add(LaneEvent event);

  const bool keeps_events_;
  std::map<std::string, Lane, std::less<>> lanes_;
  std::vector<LaneEvent> events_;
};

// Work or waiting that began at `start` and ended at `end`, or ends now.
void record_lane(std::string_view lane, LaneWork work, std::chrono::steady_clock::time_point start);
void record_lane(std::string_view lane, LaneWork work, std::chrono::steady_clock::time_point start,
                 std::chrono::steady_clock::time_point end);

// Records the time until it is destroyed. `lane` must live that long.
class LaneSpan {
 public:
  explicit LaneSpan(std::string_view lane, LaneWork work = LaneWork::kBusy) : lane_(lane), work_(work) {}
  ~LaneSpan() { record_lane(lane_, work_, start_); }
  LaneSpan(const LaneSpan&) = delete;
  LaneSpan& operator=(const LaneSpan&) = delete;

 private:
  std::string_view lane_;
  LaneWork work_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace image_engine::gpu
