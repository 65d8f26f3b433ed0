// Detects objects in pictures with any detector that a spec describes.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "types/box.h"
#include "types/image.h"
#include "vision/graph_checks.h"

namespace image_engine::vision {

struct DetectedObject {
  std::uint32_t label = 0;  // index into the spec's labels
  float confidence = 0;     // 0…1
  Box box;                  // in pixels of the upright photo, inside it
};

class ObjectDetector {
 public:
  // Checks the graph's input and outputs against the spec's plan and head. Errors: kInvalidArgument (the spec: unknown
  // head or option, another number of labels than the model has classes), kCorrupt (the graph).
  static Result<ObjectDetector> create(const models::Spec& spec, std::unique_ptr<infer::Session> session);

  // `picture`: upright, may be reduced; boxes are in pixels of the full photo, whose size is given. Best first, at most
  // 300. Thread-safe. Errors: kCorrupt when the model's output has NaN or another shape, kInvalidArgument when it has a
  // class without a label.
  [[nodiscard]] Result<std::vector<DetectedObject>> detect(const ImageView& picture, std::uint32_t full_width,
                                                           std::uint32_t full_height) const;
  // detect() in two steps, for several pictures: pass the results of prepare(), in order. One run if the graph takes
  // batches and the inputs have the same size.
  [[nodiscard]] Result<preprocess::Prepared> prepare(const ImageView& picture, std::uint32_t full_width,
                                                     std::uint32_t full_height) const;
  // Of an input made on a GPU, with positions by the reduced picture's size.
  [[nodiscard]] Result<preprocess::Prepared> prepare(const preprocess::MadeInput& made,
                                                     preprocess::FullSize full) const;
  [[nodiscard]] Result<std::vector<std::vector<DetectedObject>>> detect(
      std::span<const preprocess::Prepared> prepared) const;
  [[nodiscard]] bool takes_several() const { return batches_; }

  // Of objects in drawings of flat colours (drawings.h), by the spec's option `drawing_threshold`; 0: as of all
  // pictures. It is for the caller to apply.
  [[nodiscard]] float least_in_drawings() const;
  [[nodiscard]] const std::string& label(std::uint32_t index) const { return labels_[index]; }
  [[nodiscard]] const preprocess::Plan& plan() const { return plan_; }
  [[nodiscard]] const infer::Session& session() const { return *session_; }

 private:
  ObjectDetector() = default;
  preprocess::Plan plan_;
  struct Head;
  std::shared_ptr<const Head> head_;
  std::shared_ptr<infer::Session> session_;
  std::vector<std::string> labels_;
  std::vector<std::string> outputs_;
  bool batches_ = false;

  [[nodiscard]] Result<std::vector<std::vector<Tensor>>> run(std::span<const preprocess::Prepared> prepared) const;
  [[nodiscard]] std::vector<Tensor> inputs_of(const preprocess::Prepared& prepared) const;
  [[nodiscard]] Result<std::vector<DetectedObject>> read(const std::vector<Tensor>& outputs,
                                                         const preprocess::Prepared& prepared) const;
};

}  // namespace image_engine::vision
