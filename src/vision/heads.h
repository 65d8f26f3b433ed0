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

struct HeadInput {
  std::span<const Tensor> outputs;  // of one picture: each [1, …], kFloat32, free of NaN, in the order of the spec
  preprocess::InputSize size;       // of the model's input
  std::size_t classes = 0;          // the number of labels
  float threshold = 0;              // candidates below it need not be given
};

struct HeadOptions {
  float threshold = 0.4F;  // least confidence
  float nms = 0.6F;        // IoU above which the weaker of one class goes; 1: no suppression
  std::size_t most = 100;  // objects a picture
};

struct HeadKind {
  std::string_view name;  // in specs
  HeadOptions defaults;
  // Errors: kCorrupt when shapes are not what this family gives.
  Result<std::vector<Candidate>> (*read)(const HeadInput& input);
};

std::span<const HeadKind> head_kinds();

// Best first. Same-class candidates that overlap a better one by more than `iou` go.
std::vector<Candidate> suppress(std::vector<Candidate> candidates, float iou, std::size_t most);

}  // namespace image_engine::vision
