// Pictures and texts as vectors whose angle says how much they have to do with each other.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "preprocess/tokenizer.h"
#include "types/image.h"

namespace image_engine::vision {

// Of length 1. As many numbers as the spec's option `dimensions` says.
using Embedding = std::vector<float>;

class ImageEmbedder {
 public:
  // Checks the graph's input and output against the spec. Errors as ObjectDetector::create.
  static Result<ImageEmbedder> create(const models::Spec& spec, std::unique_ptr<infer::Session> session);

  // `picture`: upright sRGB; where it is reduced, `full` is the photo's size (a crop that is a pixel off is another
  // picture to a model). Thread-safe. kCorrupt when the output has another shape, numbers that are none, or length 0.
  [[nodiscard]] Result<Embedding> embed(const ImageView& picture, preprocess::FullSize full = {}) const;
  // The two halves of it, for several pictures at once: what prepare() gave for each, in their order. One run where the
  // graph takes a batch.
  [[nodiscard]] Result<preprocess::Prepared> prepare(const ImageView& picture, preprocess::FullSize full = {}) const;
  [[nodiscard]] Result<std::vector<Embedding>> embed(std::span<const preprocess::Prepared> prepared) const;

  [[nodiscard]] const preprocess::Plan& plan() const { return plan_; }
  [[nodiscard]] const infer::Session& session() const { return *session_; }

 private:
  ImageEmbedder() = default;
  preprocess::Plan plan_;
  std::shared_ptr<infer::Session> session_;
  std::string model_, output_;
  std::size_t dimensions_ = 0;
  bool batches_ = false;

  [[nodiscard]] Result<std::vector<Embedding>> run(const Tensor& input) const;
};

class TextEmbedder {
 public:
  // `session` runs the spec's text tower. Inputs are told by their names: `input_ids`, and where the graph has them
  // `attention_mask` and `token_type_ids`. An output [n, dimensions] is taken as it is; of [n, tokens, dimensions] the
  // mean over the text's tokens (sentence-transformers' pooling).
  static Result<TextEmbedder> create(const models::Spec& spec, std::unique_ptr<infer::Session> session,
                                     std::unique_ptr<preprocess::Tokenizer> tokenizer);

  // Thread-safe. Errors as ImageEmbedder::embed.
  [[nodiscard]] Result<Embedding> embed(std::string_view text) const;
  [[nodiscard]] Result<std::vector<Embedding>> embed(std::span<const std::string> texts) const;

 private:
  TextEmbedder() = default;
  std::shared_ptr<infer::Session> session_;
  std::shared_ptr<const preprocess::Tokenizer> tokenizer_;
  std::string model_, output_;
  std::size_t dimensions_ = 0, context_ = 0;
  bool fixed_length_ = false;
};

// The spec as choose_precision() and its session see it for the text tower: variants and outputs are the tower's.
models::Spec text_tower(const models::Spec& spec);

// What a text tower's precisions are compared on: the inputs of one run for each of a few texts.
Result<std::vector<Tensor>> text_canaries(const models::Spec& spec, const infer::Session& session,
                                          const preprocess::Tokenizer& tokenizer);

}  // namespace image_engine::vision
