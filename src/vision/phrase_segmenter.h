// What a phrase names in a picture, by a model that takes both.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "preprocess/tokenizer.h"
#include "types/image.h"
#include "vision/segmenter.h"

namespace image_engine::vision {

inline constexpr char kPhraseHead[] = "phrase";

// Runs models like CLIPSeg (Lüddecke and Ecker, 2022), as its published export is: a picture, under the name that the
// spec's input has, `input_ids`, and where the graph has it `attention_mask` → one plane of logits, [h,w], [1,h,w] or
// [1,1,h,w], whose edges are those of the picture's input.
class PhraseSegmenter {
 public:
  // Errors: kInvalidArgument (the spec: head, a fit other than stretch or letterbox, no tokenizer), kCorrupt (the
  // graph).
  static Result<PhraseSegmenter> create(const models::Spec& spec, std::unique_ptr<infer::Session> session,
                                        std::unique_ptr<preprocess::Tokenizer> tokenizer);

  // Inside is what has a probability of 0.5. Thread-safe. kCorrupt: an output of another shape, NaN or infinity.
  [[nodiscard]] Result<Matte> segment(const ImageView& picture, std::string_view phrase) const;

 private:
  PhraseSegmenter() = default;
  preprocess::Plan plan_;
  std::shared_ptr<infer::Session> session_;
  std::shared_ptr<const preprocess::Tokenizer> tokenizer_;
  std::string model_, output_;
  std::size_t picture_ = 0, context_ = 0;  // which of the graph's inputs; most ids
  bool fixed_length_ = false;
};

}  // namespace image_engine::vision
