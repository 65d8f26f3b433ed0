// Windows of frames of one video, side by side, and what a model that sees a window at once names in each.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "core/result.h"
#include "preprocess/plan.h"
#include "types/image.h"
#include "video/actions.h"

namespace image_engine::pipeline {

// How a stage names actions in several frames at once. Thread-safe once it is loaded.
struct ClipModel {
  std::size_t frames = 0;           // of a run
  double stride_seconds = 0;        // from one to the next; 0: stride_frames
  std::uint32_t stride_frames = 0;  // likewise, in frames of the video
  std::uint32_t edge = 0;           // the longer edge that a frame needs, pixels
  std::function<Result<preprocess::Prepared>(const ImageView& picture, preprocess::FullSize full)> prepare = {};
  std::function<Result<std::vector<video::ActionGuess>>(std::span<const preprocess::Prepared> frames)> run = {};
};

// Holds the frames of one window at most. Not thread-safe.
class ActionWindows {
 public:
  // Null: there is no such model, and nothing is ever found.
  explicit ActionWindows(std::shared_ptr<const ClipModel> model = nullptr) : model_(std::move(model)) {}

  // A frame at the model's rate, by time; frames up to until() are ignored. Errors: the model's, of this window.
  Status add(double seconds, const ImageView& picture, preprocess::FullSize full);
  // The rest, up to `end` (seconds): a window of at least half its frames, or the only one, is filled up with its last
  // frame; less of one is left out.
  Status finish(double end);
  // Forgets the frames of a window that is not complete: they will come again.
  void begin_again();

  // Seconds up to which frames are in a window; minus infinity: none is.
  [[nodiscard]] double until() const { return until_; }
  // Those in which something was named, by time.
  [[nodiscard]] const std::vector<video::ActionWindow>& windows() const { return windows_; }
  // What was named in windows that have a part of this range, each once, the surest first.
  [[nodiscard]] std::vector<video::ActionGuess> between(double from, double to) const;

  // For a run that resumes an interrupted one. restore() throws nlohmann::json::exception for other data.
  [[nodiscard]] nlohmann::json progress() const;
  void restore(const nlohmann::json& progress);

 private:
  Status name(double to);

  std::shared_ptr<const ClipModel> model_;
  std::vector<preprocess::Prepared> frames_;
  std::vector<double> times_;  // of frames_
  std::vector<video::ActionWindow> windows_;
  double until_ = -std::numeric_limits<double>::infinity();
};

}  // namespace image_engine::pipeline
