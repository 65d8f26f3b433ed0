// Which part of a picture is a subject, a person, or of a class, by any model that a spec describes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "types/image.h"

namespace image_engine::vision {

// How much of each place belongs to the target, 0…1. Covers the whole picture, whatever its aspect ratio; rows without
// padding, origin top left, upright.
struct Matte {
  std::uint32_t width = 0, height = 0;
  std::vector<float> alpha;  // height × width
};

// Of a model of classes: at each place the class whose logit is the greatest, an index into the spec's labels, and how
// sure that is: the sigmoid of how far it is above the next best, 0.5…1. Placed as a Matte is.
struct ClassMap {
  std::uint32_t width = 0, height = 0;
  std::vector<std::uint16_t> label;  // height × width
  std::vector<float> certainty;      // likewise
};

// Runs a model of the task `segmentation`. Heads:
// - `alpha`: one plane, [1,1,h,w], [1,h,w,1] or [1,h,w], of the spec's only label. Options: `activation`: none (the
//   plane has probabilities) or sigmoid (logits); `stretch: yes`: its least and greatest values become 0 and 1, as
//   rembg does with U²-Net's and IS-Net's.
// - `classes`: a plane of logits for each label, [1,labels,h,w] or [1,h,w,labels].
class Segmenter {
 public:
  // Errors: kInvalidArgument (the spec: unknown head or option, a fit other than stretch or letterbox, labels),
  // kCorrupt (the graph).
  static Result<Segmenter> create(const models::Spec& spec, std::unique_ptr<infer::Session> session);

  // The matte of these labels together: indices into the spec's labels, at least one. Of `classes`, logits are
  // upsampled to the input's size, and alpha is the sigmoid of how far the best of these labels is above the best of
  // the others: 0.5 is where the argmax changes. Thread-safe. kCorrupt when the output has another shape, NaN or
  // infinity.
  [[nodiscard]] Result<Matte> segment(const ImageView& picture, std::span<const std::size_t> labels) const;

  // Of the head `classes`: all classes at once, with the errors of segment(). Thread-safe.
  [[nodiscard]] Result<ClassMap> classes(const ImageView& picture) const;

  [[nodiscard]] bool has_classes() const { return classes_; }
  [[nodiscard]] const preprocess::Plan& plan() const { return plan_; }
  [[nodiscard]] const infer::Session& session() const { return *session_; }

 private:
  Segmenter() = default;
  preprocess::Plan plan_;
  std::shared_ptr<infer::Session> session_;
  std::string model_, output_;
  std::size_t labels_ = 0;
  bool classes_ = false, sigmoid_ = false, stretch_ = false;
};

}  // namespace image_engine::vision
