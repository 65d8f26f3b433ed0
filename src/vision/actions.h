// What happens in several frames of a video, by a model that sees them at once.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "types/image.h"
#include "vision/scenes.h"

namespace image_engine::vision {

// The plan of one frame of a model for actions. kInvalidArgument names the invalid value.
Result<preprocess::Plan> frame_plan_of(const models::Spec& spec);
// The input of a run in which every frame is this picture. Errors as above.
Result<Tensor> still_clip(const models::Spec& spec, const ImageView& picture);

// A classifier by spec (task `actions`, head `softmax` or `sigmoid` of logits): TAO's ActionRecognitionNet, VideoMAE,
// X3D and the like. Input by `layout`: ncthw [1, 3, frames, H, W], ntchw [1, frames, 3, H, W] or nthwc [1, frames, H,
// W, 3]. Output [1, classes]. Option `threshold`: the least confidence of an action, 0.3.
class ActionClassifier {
 public:
  // Errors as SceneClassifier::create; kCorrupt where the graph takes another layout or number of frames.
  static Result<ActionClassifier> create(const models::Spec& spec, std::unique_ptr<infer::Session> session);

  // One frame, upright sRGB; `full` as for ImageEmbedder::embed. Thread-safe.
  [[nodiscard]] Result<preprocess::Prepared> prepare(const ImageView& picture, preprocess::FullSize full = {}) const;
  // The likeliest actions of frames() prepared frames in order of time, surest first, at most kTopScenes, at least as
  // likely as the threshold. Thread-safe. kCorrupt for an output of another shape, NaN or infinity.
  [[nodiscard]] Result<std::vector<SceneGuess>> classify(std::span<const preprocess::Prepared> frames) const;

  [[nodiscard]] std::size_t frames() const { return frames_; }

 private:
  ActionClassifier() = default;
  [[nodiscard]] Result<std::vector<double>> run(const Tensor& clip) const;

  preprocess::Plan plan_;
  std::shared_ptr<infer::Session> session_;
  std::string model_, output_, layout_;
  std::vector<std::string> labels_;
  std::size_t frames_ = 0;
  double threshold_ = 0;
  bool softmax_ = true;
};

}  // namespace image_engine::vision
