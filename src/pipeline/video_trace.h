// Where the time of analyzing videos goes, stage by stage.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/protocol.h"

namespace image_engine::pipeline {

// The step of the scene detector; others that are no stages: decode, reduce (to small pictures), convert (chosen frames
// to sRGB), thumbnail, write.
inline constexpr char kSceneChangesStep[] = "scene_changes";

struct VideoStageTimes {
  std::string name;
  bool in_worker = false;
  std::string device = "cpu", precision;  // where it ran last
  std::uint64_t frames = 0;               // that it worked on
  double busy = 0;                        // seconds, over all videos and over frames worked on at once
  double wait = 0;                        // by how much `busy` is less than the time in which videos were analyzed
};

struct VideoTimes {
  std::uint32_t decode_threads = 0;
  std::vector<VideoStageTimes> stages;  // in the order in which a frame goes through them
  double worker_wait = 0;  // seconds in which workers could not go on: the engine held all frames that they had sent
  double engine_wait = 0;  // seconds in which the engine waited for the next frames
};

// Thread-safe.
class VideoTrace {
 public:
  using Clock = std::chrono::steady_clock;

  // Lists these first, in this order; those that are only added come behind them.
  explicit VideoTrace(std::span<const std::string> stages);
  // Adds the work of a stage on `frames` frames that began at `start` and ended now.
  void add(std::string_view stage, Clock::time_point start, std::uint64_t frames);
  void add_wait(Clock::time_point start);
  // Adds what a worker did for one video.
  void add(const worker::VideoSummary& summary);
  void ran_on(std::string_view stage, const std::string& device, const std::string& precision);
  // Stages that did something, for `videos` videos at once over `wall` seconds.
  [[nodiscard]] VideoTimes times(std::size_t videos, double wall) const;

 private:
  VideoStageTimes& row(std::string_view stage);

  mutable std::mutex mutex_;
  std::vector<VideoStageTimes> rows_;
  double worker_wait_ = 0, engine_wait_ = 0;
};

}  // namespace image_engine::pipeline
