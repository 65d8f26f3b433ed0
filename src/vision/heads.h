// How detectors' outputs are read: one row a family. Adding a detector of a known family is a spec; of a new one, a
// row.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "types/tensor.h"

namespace image_engine::vision {

// In pixels of the model's input, corners; before NMS.
struct Candidate {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  float confidence = 0;
  std::uint32_t label = 0;
};

// What turns logits into confidences.
enum class Activation : std::uint8_t { kSigmoid, kSoftmax };

// A spec's head_options, by these names. Ranges: threshold and nms 0…1, most 1…kMostObjects, activation "sigmoid" or
// "softmax".
struct HeadOptions {
  float threshold = 0.4F;                        // least confidence
  float nms = 0.6F;                              // IoU above which the weaker of one class goes; 1: no suppression
  std::size_t most = 100;                        // objects a picture
  Activation activation = Activation::kSigmoid;  // of `queries`
};
inline constexpr std::size_t kMostObjects = 300;

struct HeadInput {
  std::span<const Tensor> outputs;  // of one picture: each [1, …], kFloat32, all finite, in the order of the spec
  preprocess::InputSize size;       // of the model's input
  std::size_t classes = 0;          // the number of labels
  HeadOptions options;
};

// How each family's own authors read it. A query or anchor gives its best class; a cell of `nanodet` or `centernet` may
// give several. Outputs that belong together are told by their last dimension, so that their order matters only where
// that leaves a doubt: then scores come first.
//
//   nanodet    For each of two or more strides (8, 16, 32, …, found by the number n of cells) scores [1, n, classes],
//              already sigmoid, and distances [1, n, 4 × 11]: side = stride · Σ k · softmax(11 bins), in the order
//              left, top, right, bottom, from the cell's centre (i + 0.5) · stride; boxes are clipped to the input
//              (Li et al., Generalized Focal Loss, 2020).
//   centernet  Heat [1, h, w, classes], already sigmoid, and sides [1, h, w, 4] in the input's pixels, from
//              (column, row) · stride to left, top, right, bottom. Objects are the heat's maxima of 3 × 3 (Zhou et al.,
//              Objects as Points, 2019). The heat and not the hundred best that some graphs also give: those are cut
//              off before suppression.
//   queries    Logits [1, q, classes], with softmax one class more, the last, which is no object; and boxes [1, q, 4]:
//              centre and size as fractions of the input (Carion et al., DETR, 2020). Suppression is off by default.
//   yolo       [1, 4 + classes, n]: centre and size in the input's pixels, then scores, already sigmoid.
struct HeadKind {
  std::string_view name;  // in specs
  HeadOptions defaults;
  // Errors: kCorrupt when shapes are not what this family gives, kInvalidArgument when there are more or fewer classes
  // than labels.
  Result<std::vector<Candidate>> (*read)(const HeadInput& input);
};

std::span<const HeadKind> head_kinds();

// kInvalidArgument names a head, option or value that is none.
Result<const HeadKind*> find_head(const models::Spec& spec);
Result<HeadOptions> read_options(const models::Spec& spec, const HeadKind& head);

// Best first, the earlier one of equals. Same-class candidates that overlap a better one by more than `iou` go.
std::vector<Candidate> suppress(std::vector<Candidate> candidates, float iou, std::size_t most);

}  // namespace image_engine::vision
