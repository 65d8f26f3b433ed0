// How far the video at hand is, beside a command's progress over its files.
#pragma once

#include <chrono>
#include <string>

#include "core/progress.h"
#include "pipeline/video_edit.h"

namespace image_engine::cli {

// Not thread-safe. It and the progress must outlive the watches.
class VideoProgress {
 public:
  explicit VideoProgress(Progress& progress) : progress_(progress) {}

  // Of a video whose work begins now; stops with the command.
  pipeline::VideoWatch begin();
  // "45 % of a video, 2 min left"; empty where nothing is known.
  [[nodiscard]] std::string text() const;
  void end() { done_ = 0; }

 private:
  Progress& progress_;
  std::chrono::steady_clock::time_point start_;
  double done_ = 0;
};

}  // namespace image_engine::cli
