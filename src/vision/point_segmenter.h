// The thing that points or a box mean, by a model in two graphs: one of the picture, one of the prompts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "types/image.h"
#include "vision/prompts.h"
#include "vision/segmenter.h"

namespace image_engine::vision {

inline constexpr char kPointsHead[] = "points";

struct Selection {
  Matte matte;
  std::optional<float> estimated_iou;  // of the mask with the thing, as the model estimates it, about 0…1
};

// Runs models like Segment Anything (Kirillov et al., 2023) and SAM 2 (Ravi et al., 2024), as their published exports
// are:
// - the part `encoder`: a picture → embeddings. Its input has a batch, or is one picture [h,w,3] in 0…255 of any size
//   that fits the spec's, which the graph normalises and pads by itself.
// - the part `decoder`: the encoder's outputs by their names (where each has one, by whatever name), `point_coords`
//   [1,n,2] in pixels of the encoder's input, `point_labels` [1,n] (1: inside, 0: outside, 2 and 3: a box's top left
//   and bottom right corner, −1: padding), and where it has them `mask_input` and `has_mask_input` (always: none) and
//   `orig_im_size` [2]. `outputs`: logits of masks [1,masks,h,w], whose edges are those of the encoder's input, and the
//   estimates of their IoU [1,masks]. Option `padding: yes`: points without a box get one of padding, as in SAM's own
//   export; SAM 2's adds it inside.
class PointSegmenter {
 public:
  // Errors: kInvalidArgument (the spec: head, options, a fit other than stretch or letterbox, outputs), kCorrupt (a
  // graph).
  static Result<PointSegmenter> create(const models::Spec& spec, std::unique_ptr<infer::Session> encoder,
                                       std::unique_ptr<infer::Session> decoder);

  // The mask with the greatest estimate. Of four masks the first is the one for several prompts, and the others are for
  // a single point, which may mean a part, the whole or a group. Thread-safe. `prompts`: in pixels of `picture`, no
  // phrase. Errors: kInvalidArgument (not in the picture), kCorrupt (outputs of another shape, NaN or infinity).
  [[nodiscard]] Result<Selection> select(const ImageView& picture, const Prompts& prompts) const;

 private:
  PointSegmenter() = default;
  [[nodiscard]] Result<preprocess::Prepared> prepare(const ImageView& picture) const;
  [[nodiscard]] Result<std::vector<Tensor>> inputs_of(const preprocess::Prepared& prepared,
                                                      const Prompts& prompts) const;

  preprocess::Plan plan_;
  std::shared_ptr<infer::Session> encoder_, decoder_;
  std::string model_;
  std::vector<std::string> outputs_;     // of the decoder: masks, IoU
  std::vector<std::string> embeddings_;  // of the encoder, in the order of the decoder's inputs; "": a prompt's
  bool bare_ = false;                    // the encoder takes [h,w,3]
  bool padding_ = false;
};

}  // namespace image_engine::vision
