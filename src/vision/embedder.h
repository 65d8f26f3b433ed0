// Embeds pictures and texts as vectors; a small angle between two means similar content.
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

// Of length 1; its dimensions are the spec's option `dimensions`.
using Embedding = std::vector<float>;

class ImageEmbedder {
 public:
  // Checks the graph's input and output against the spec. Errors as ObjectDetector::create.
  static Result<ImageEmbedder> create(const models::Spec& spec, std::unique_ptr<infer::Session> session);

  // `picture`: upright sRGB. If it is reduced, `full` is the photo's size, so that the crop is the same to a pixel.
  // Thread-safe. kCorrupt when the output has another shape, NaN or infinity, or length 0.
  [[nodiscard]] Result<Embedding> embed(const ImageView& picture, preprocess::FullSize full = {}) const;
  // embed() in two steps, for several pictures: pass the results of prepare(), in order. One run if the graph takes
  // batches.
  [[nodiscard]] Result<preprocess::Prepared> prepare(const ImageView& picture, preprocess::FullSize full = {}) const;
  // Of an input made on a GPU, with positions by the photo's size.
  [[nodiscard]] Result<preprocess::Prepared> prepare(const preprocess::MadeInput& made,
                                                     preprocess::FullSize full) const;
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
  // `session` runs the spec's text tower. Inputs are identified by name: `input_ids`, and `attention_mask` and
  // `token_type_ids` if the graph has them. An output [n, dimensions] is used as it is; [n, tokens, dimensions] is
  // averaged over the text's tokens (sentence-transformers' pooling).
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

// The spec with the text tower's variants and outputs, for choose_precision() and its session.
models::Spec text_tower(const models::Spec& spec);

// Canaries of a text tower: the inputs of one run for each of a few texts.
Result<std::vector<Tensor>> text_canaries(const models::Spec& spec, const infer::Session& session,
                                          const preprocess::Tokenizer& tokenizer);

}  // namespace image_engine::vision
