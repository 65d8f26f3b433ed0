#include "vision/embedder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "vision/batches.h"
#include "vision/graph_checks.h"
#include "vision/text_input.h"

namespace image_engine::vision {
namespace {

constexpr std::size_t kMostDimensions = 65'536;
constexpr std::size_t kTextsARun = 32;  // limits memory: a label file may have tens of thousands of prompts

// A few, short and long, to exercise all of a tower's weights.
constexpr std::array<std::string_view, 4> kCanaryTexts{
    "a photo of a dog.", "two people walking along a beach at sunset, seen from behind", "receipt",
    "a child blowing out the candles of a birthday cake while the family around the kitchen table sings and claps"};

Result<std::size_t> dimensions_of(const models::Spec& spec) {
  IE_TRY(const double wanted, models::number_option(spec, "dimensions", 0));
  if (wanted >= 1 && wanted <= kMostDimensions && wanted == std::floor(wanted)) return static_cast<std::size_t>(wanted);
  return fail(ErrorCode::kInvalidArgument, "model " + spec.name +
                                               ": its spec's option dimensions must be the number of " +
                                               "numbers in its vectors, 1 to " + std::to_string(kMostDimensions));
}

Result<Embedding> normalised(std::vector<double> values) {
  const double length = std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
  if (!(length > 0)) return fail(ErrorCode::kCorrupt, "its vector has length 0");
  Embedding embedding(values.size());
  std::ranges::transform(values, embedding.begin(), [&](double v) { return static_cast<float>(v / length); });
  return embedding;
}

// The mean of the first `count` rows.
std::vector<double> mean_row(std::span<const float> rows, std::size_t width, std::size_t count) {
  std::vector<double> mean(width);
  for (std::size_t row = 0; row < count; ++row)
    for (std::size_t i = 0; i < width; ++i) mean[i] += double{rows[row * width + i]} / static_cast<double>(count);
  return mean;
}

// One vector for each of `lengths`, from an output [n, dimensions] or [n, at least the length, dimensions].
Result<std::vector<Embedding>> read_vectors(const Tensor& output, std::size_t dimensions,
                                            std::span<const std::size_t> lengths) {
  IE_CHECK(check_output(output, lengths.size()));
  const auto& shape = output.shape;
  const bool pooled = shape.size() == 2;
  const bool sound = (pooled || shape.size() == 3) && static_cast<std::size_t>(shape.back()) == dimensions &&
                     (pooled || static_cast<std::size_t>(shape[1]) >= std::ranges::max(lengths));
  if (!sound)
    return fail(ErrorCode::kCorrupt,
                "its output " + shape_text(shape) + " holds no vectors of " + std::to_string(dimensions) + " numbers");
  const std::size_t step = output.count() / lengths.size();
  std::vector<Embedding> vectors;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto rows = output.as<float>().subspan(i * step, step);
    IE_TRY(vectors.emplace_back(), normalised(mean_row(rows, dimensions, pooled ? 1 : lengths[i])));
  }
  return vectors;
}

// The graph's inputs for these ids, each padded to `length` if the graph has a mask or a fixed length.
std::vector<Tensor> text_inputs(const std::vector<infer::TensorInfo>& graph,
                                std::span<const std::vector<std::int64_t>> ids, std::size_t length,
                                std::int64_t padding) {
  std::vector<Tensor> inputs;
  for (const infer::TensorInfo& info : graph) inputs.push_back(text_input(info, ids, length, padding));
  return inputs;
}

Status check_text_inputs(const std::vector<infer::TensorInfo>& inputs, std::size_t context) {
  for (const infer::TensorInfo& input : inputs) IE_CHECK(check_text_input(input, context));
  if (std::ranges::find(inputs, kTextIds, &infer::TensorInfo::name) == inputs.end())
    return fail(ErrorCode::kCorrupt, "its text graph has no input 'input_ids'");
  return {};
}

bool is_fixed(const models::TextTower& text, const std::vector<infer::TensorInfo>& inputs) {
  return text.fixed || std::ranges::any_of(inputs, [](const auto& input) { return input.shape[1] >= 0; });
}

Status check_context(const models::Spec& spec) {
  if (spec.text.context >= 2) return {};
  return fail(ErrorCode::kInvalidArgument,
              "model " + spec.name + ": its spec's text tower has no context of 2 or more");
}

}  // namespace

Result<ImageEmbedder> ImageEmbedder::create(const models::Spec& spec, std::unique_ptr<infer::Session> session) {
  ImageEmbedder embedder;
  embedder.model_ = spec.name;
  IE_TRY(embedder.plan_, plan_of(spec));
  IE_TRY(embedder.dimensions_, dimensions_of(spec));
  embedder.session_ = std::move(session);
  const auto checked = [&]() -> Status {
    const auto& inputs = embedder.session_->inputs();
    IE_TRY(const std::size_t picture, find_picture(spec, inputs));
    IE_CHECK(check_input(embedder.plan_, inputs[picture]));
    IE_TRY(embedder.output_, find_output(spec.outputs, embedder.session_->outputs()));
    return {};
  }();
  if (!checked) return name_model(spec.name, checked.error());

  // Errors that shapes do not reveal occur here once, not on every photo. A graph may declare batches but contain a
  // shape for one picture.
  const std::vector<std::uint8_t> grey(std::size_t{4} * 4 * 3, 128);
  IE_TRY(const preprocess::Prepared picture, embedder.prepare({4, 4, grey}));
  const std::array two{picture, picture};
  embedder.batches_ = takes_batches(embedder.session_->inputs()) && embedder.plan_.fit != preprocess::Fit::kShortEdge;
  if (embedder.batches_ && embedder.embed(two)) return embedder;
  embedder.batches_ = false;
  IE_CHECK(embedder.run(picture.tensor));
  return embedder;
}

Result<std::vector<Embedding>> ImageEmbedder::run(const Tensor& input) const {
  const auto read = [&]() -> Result<std::vector<Embedding>> {
    IE_TRY(const auto outputs, session_->run({&input, 1}, {&output_, 1}));
    const std::vector<std::size_t> ones(static_cast<std::size_t>(input.shape[0]), 1);
    return read_vectors(outputs.front(), dimensions_, ones);
  };
  auto vectors = read();
  if (!vectors) return name_model(model_, std::move(vectors).error());
  return vectors;
}

Result<preprocess::Prepared> ImageEmbedder::prepare(const ImageView& picture, preprocess::FullSize full) const {
  return preprocess::prepare(plan_, picture, full);
}

Result<preprocess::Prepared> ImageEmbedder::prepare(const preprocess::MadeInput& made,
                                                    preprocess::FullSize full) const {
  return preprocess::prepared_on_gpu(plan_, made, full);
}

Result<Embedding> ImageEmbedder::embed(const ImageView& picture, preprocess::FullSize full) const {
  IE_TRY(const preprocess::Prepared prepared, prepare(picture, full));
  IE_TRY(auto embeddings, run(prepared.tensor));
  return std::move(embeddings.front());
}

Result<std::vector<Embedding>> ImageEmbedder::embed(std::span<const preprocess::Prepared> prepared) const {
  if (batches_ && prepared.size() > 1) {
    std::vector<const Tensor*> tensors;
    for (const preprocess::Prepared& one : prepared) tensors.push_back(&one.tensor);
    return run(stacked(tensors));
  }
  std::vector<Embedding> embeddings;
  for (const preprocess::Prepared& one : prepared) {
    IE_TRY(auto vectors, run(one.tensor));
    std::ranges::move(vectors, std::back_inserter(embeddings));
  }
  return embeddings;
}

// No trial run here: a search embeds one text, and would wait for two.
Result<TextEmbedder> TextEmbedder::create(const models::Spec& spec, std::unique_ptr<infer::Session> session,
                                          std::unique_ptr<preprocess::Tokenizer> tokenizer) {
  TextEmbedder embedder;
  embedder.model_ = spec.name;
  IE_CHECK(check_context(spec));
  embedder.context_ = spec.text.context;
  IE_TRY(embedder.dimensions_, dimensions_of(spec));
  embedder.session_ = std::move(session);
  embedder.tokenizer_ = std::move(tokenizer);
  const auto checked = [&]() -> Status {
    IE_CHECK(check_text_inputs(embedder.session_->inputs(), embedder.context_));
    IE_TRY(embedder.output_, find_output(spec.text.outputs, embedder.session_->outputs()));
    return {};
  }();
  if (!checked) return name_model(spec.name, checked.error());
  embedder.fixed_length_ = is_fixed(spec.text, embedder.session_->inputs());
  return embedder;
}

Result<Embedding> TextEmbedder::embed(std::string_view text) const {
  const std::string one(text);
  IE_TRY(auto embeddings, embed(std::span(&one, 1)));
  return std::move(embeddings.front());
}

Result<std::vector<Embedding>> TextEmbedder::embed(std::span<const std::string> texts) const {
  const std::size_t most = takes_batches(session_->inputs()) ? kTextsARun : 1;
  std::vector<Embedding> embeddings;
  for (std::size_t from = 0; from < texts.size(); from += most) {
    std::vector<std::vector<std::int64_t>> ids;
    std::vector<std::size_t> lengths;
    for (const std::string& text : texts.subspan(from, std::min(most, texts.size() - from)))
      lengths.push_back(ids.emplace_back(tokenizer_->encode(text, context_)).size());
    const std::size_t length = fixed_length_ ? context_ : std::ranges::max(lengths);
    const auto read = [&]() -> Result<std::vector<Embedding>> {
      const auto inputs = text_inputs(session_->inputs(), ids, length, tokenizer_->padding());
      IE_TRY(const auto outputs, session_->run(inputs, {&output_, 1}));
      return read_vectors(outputs.front(), dimensions_, lengths);
    };
    auto vectors = read();
    if (!vectors) return name_model(model_, std::move(vectors).error());
    std::ranges::move(*vectors, std::back_inserter(embeddings));
  }
  return embeddings;
}

models::Spec text_tower(const models::Spec& spec) {
  models::Spec tower = spec;
  if (!spec.text.variants.empty()) tower.variants = spec.text.variants;
  tower.outputs = spec.text.outputs;
  return tower;
}

Result<std::vector<Tensor>> text_canaries(const models::Spec& spec, const infer::Session& session,
                                          const preprocess::Tokenizer& tokenizer) {
  IE_CHECK(check_context(spec));
  if (const auto checked = check_text_inputs(session.inputs(), spec.text.context); !checked)
    return name_model(spec.name, checked.error());
  std::vector<Tensor> canaries;
  for (const std::string_view text : kCanaryTexts) {
    const std::vector<std::int64_t> ids = tokenizer.encode(text, spec.text.context);
    const std::size_t length = is_fixed(spec.text, session.inputs()) ? spec.text.context : ids.size();
    std::ranges::move(text_inputs(session.inputs(), {&ids, 1}, length, tokenizer.padding()),
                      std::back_inserter(canaries));
  }
  return canaries;
}

}  // namespace image_engine::vision
