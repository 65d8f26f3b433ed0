#include "pipeline/video_trace.h"

#include <algorithm>

namespace image_engine::pipeline {
namespace {

double seconds_from(VideoTrace::Clock::time_point start) {
  return std::chrono::duration<double>(VideoTrace::Clock::now() - start).count();
}

}  // namespace

VideoStageTimes& VideoTrace::row(std::string_view stage) {
  const auto known = std::ranges::find(rows_, stage, &VideoStageTimes::name);
  if (known != rows_.end()) return *known;
  VideoStageTimes& added = rows_.emplace_back();
  added.name = stage;
  return added;
}

VideoTrace::VideoTrace(std::span<const std::string> stages) {
  for (const std::string& stage : stages) row(stage);
}

void VideoTrace::add(std::string_view stage, Clock::time_point start, std::uint64_t frames) {
  const double busy = seconds_from(start);
  const std::lock_guard lock(mutex_);
  VideoStageTimes& times = row(stage);
  times.busy += busy;
  times.frames += frames;
}

void VideoTrace::add_wait(Clock::time_point start) {
  const double waited = seconds_from(start);
  const std::lock_guard lock(mutex_);
  engine_wait_ += waited;
}

void VideoTrace::add(const worker::VideoSummary& summary) {
  const std::lock_guard lock(mutex_);
  const auto add_step = [&](const char* name, const worker::VideoStep& step) {
    VideoStageTimes& times = row(name);
    times.in_worker = true;
    times.busy += step.seconds;
    times.frames += step.frames;
  };
  add_step("decode", summary.decode);
  add_step("reduce", summary.reduce);
  add_step("convert", summary.convert);
  add_step("thumbnail", summary.thumbnail);
  worker_wait_ += summary.waited;
}

void VideoTrace::ran_on(std::string_view stage, const std::string& device, const std::string& precision) {
  const std::lock_guard lock(mutex_);
  VideoStageTimes& times = row(stage);
  times.device = device;
  times.precision = precision;
}

VideoTimes VideoTrace::times(std::size_t videos, double wall) const {
  const std::lock_guard lock(mutex_);
  VideoTimes times{.stages = rows_, .worker_wait = worker_wait_, .engine_wait = engine_wait_};
  std::erase_if(times.stages, [](const VideoStageTimes& stage) { return stage.busy <= 0; });
  for (VideoStageTimes& stage : times.stages)
    stage.wait = std::max(0.0, wall * static_cast<double>(videos) - stage.busy);
  return times;
}

}  // namespace image_engine::pipeline
