#include "gpu/lanes.h"

#include <algorithm>

namespace image_engine::gpu {
namespace {

double seconds_of(std::chrono::steady_clock::duration length) { return std::chrono::duration<double>(length).count(); }

// A lane that is free is got in less.
constexpr std::chrono::microseconds kShortestWait{20};

// Guards the recordings' members, too: a run may end while a recording does.
std::mutex recording_mutex;
LaneRecording* current_recording = nullptr;

}  // namespace

LaneRecording::LaneRecording(bool keeps_events) : keeps_events_(keeps_events) {
  const std::lock_guard lock(recording_mutex);
  current_recording = this;
}

LaneRecording::~LaneRecording() {
  const std::lock_guard lock(recording_mutex);
  if (current_recording == this) current_recording = nullptr;
}

void LaneRecording::add(LaneEvent event) {
  if (event.work == LaneWork::kWait && event.length < kShortestWait) return;
  const auto end = event.start + event.length;
  auto found = lanes_.find(event.lane);
  if (found == lanes_.end()) found = lanes_.emplace(event.lane, Lane{}).first;
  Lane& lane = found->second;
  lane.totals.lane = event.lane;
  if (event.work == LaneWork::kWait) {
    lane.totals.wait += seconds_of(event.length);
  } else {
    if (lane.totals.runs++ == 0) lane.first = event.start;
    lane.totals.busy += seconds_of(event.length);
    lane.last = end;
  }
  if (keeps_events_) events_.push_back(std::move(event));
}

std::vector<LaneTotals> LaneRecording::totals() const {
  const std::lock_guard lock(recording_mutex);
  std::vector<LaneTotals> all;
  for (const auto& [name, lane] : lanes_) {
    LaneTotals& totals = all.emplace_back(lane.totals);
    totals.idle = std::max(0.0, seconds_of(lane.last - lane.first) - totals.busy);
  }
  return all;
}

std::vector<LaneEvent> LaneRecording::events() const {
  const std::lock_guard lock(recording_mutex);
  return events_;
}

void record_lane(std::string_view lane, LaneWork work, std::chrono::steady_clock::time_point start) {
  record_lane(lane, work, start, std::chrono::steady_clock::now());
}

void record_lane(std::string_view lane, LaneWork work, std::chrono::steady_clock::time_point start,
                 std::chrono::steady_clock::time_point end) {
  const std::lock_guard lock(recording_mutex);
  if (current_recording != nullptr) current_recording->add({std::string(lane), work, start, end - start});
}

}  // namespace image_engine::gpu
