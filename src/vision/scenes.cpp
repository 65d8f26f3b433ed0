#include "vision/scenes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

#include "core/file.h"
#include "core/hash.h"
#include "core/log.h"
#include "vision/class_scores.h"
#include "vision/graph_checks.h"

namespace image_engine::vision {
namespace {

constexpr std::size_t kLargestKept = std::size_t{1} << 30;
constexpr std::size_t kHashDigits = 32;

std::string filled(const std::string& prompt, const std::string& phrase) {
  std::string text;
  std::size_t from = 0;
  for (std::size_t at = 0; (at = prompt.find("{}", from)) != std::string::npos; from = at + 2)
    text += prompt.substr(from, at - from) + phrase;
  return text + prompt.substr(from);
}

// Adds the mean of `group`, made length 1, as a row.
Status add_row(std::span<const Embedding> group, std::vector<float>& rows) {
  std::vector<double> mean(group.front().size());
  for (const Embedding& one : group) {
    if (one.size() != mean.size()) return fail(ErrorCode::kInternal, "the labels' vectors differ in length");
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += double{one[i]};
  }
  const double length = std::sqrt(std::inner_product(mean.begin(), mean.end(), mean.begin(), 0.0));
  if (!(length > 0)) return fail(ErrorCode::kCorrupt, "a label's vector has length 0");
  for (const double value : mean) rows.push_back(static_cast<float>(value / length));
  return {};
}

std::size_t rows_of(const SceneLabels& labels) { return labels.labels.size() + labels.background.size(); }

Result<std::vector<float>> embed_labels(const SceneLabels& labels, const SceneScorer::EmbedTexts& embed) {
  std::vector<std::string> texts;
  for (const SceneLabels::Label& label : labels.labels)
    for (const std::string& phrase : label.phrases)
      for (const std::string& prompt : labels.prompts) texts.push_back(filled(prompt, phrase));
  for (const std::string& phrase : labels.background)
    for (const std::string& prompt : labels.prompts) texts.push_back(filled(prompt, phrase));
  if (labels.labels.empty() || texts.empty())
    return fail(ErrorCode::kInvalidArgument, "there are no scenes' labels to compare with");
  IE_TRY(const std::vector<Embedding> vectors, embed(texts));
  if (vectors.size() != texts.size()) return fail(ErrorCode::kInternal, "not every label's prompt has a vector");

  std::vector<float> rows;
  std::span<const Embedding> rest(vectors);
  for (const SceneLabels::Label& label : labels.labels) {
    const std::size_t count = label.phrases.size() * labels.prompts.size();
    if (count == 0) return fail(ErrorCode::kInvalidArgument, "the label " + label.name + " has no phrase");
    IE_CHECK(add_row(rest.first(count), rows));
    rest = rest.subspan(count);
  }
  for (; !rest.empty(); rest = rest.subspan(labels.prompts.size()))
    IE_CHECK(add_row(rest.first(labels.prompts.size()), rows));
  if (rows.size() != rows_of(labels) * vectors.front().size())
    return fail(ErrorCode::kInternal, "the labels' vectors differ in length");
  return rows;
}

// A cache file has the hash of the rest, the labels' hash, and the rows in the machine's byte order.
std::optional<std::vector<float>> read_kept(const std::string& file, const SceneLabels& labels) {
  const Result<std::string> text = read_file(file, kLargestKept);
  if (!text || text->size() <= 2 * kHashDigits) return std::nullopt;
  const std::string_view rest = std::string_view(*text).substr(kHashDigits);
  if (hash128(rest).hex() != text->substr(0, kHashDigits) || !rest.starts_with(labels.hash())) return std::nullopt;
  const std::string_view bytes = rest.substr(kHashDigits);
  if (bytes.size() % (rows_of(labels) * sizeof(float)) != 0) return std::nullopt;
  std::vector<float> rows(bytes.size() / sizeof(float));
  if (!rows.empty()) std::memcpy(rows.data(), bytes.data(), bytes.size());
  return rows;
}

Status keep(const std::string& folder, const std::string& file, const SceneLabels& labels,
            std::span<const float> rows) {
  std::string rest = labels.hash();
  rest.append(reinterpret_cast<const char*>(rows.data()), rows.size_bytes());
  IE_CHECK(make_folders(folder, 0700));
  return write_file_atomically(file, hash128(rest).hex() + rest, 0600);
}

Status check_options(const models::Spec& spec) {
  for (const auto& [name, value] : spec.head_options)
    if (name != "top" && !(name == "background" && (value == "true" || value == "false")))
      return fail(ErrorCode::kInvalidArgument,
                  "a classifier has no option '" + name + ": " + value + "'; it has: top, background (true or false)");
  return {};
}

}  // namespace

Result<SceneScorer> SceneScorer::create(const SceneLabels& labels, double scale, const EmbedTexts& embed) {
  return create_kept(labels, scale, embed, "", "");
}

Result<SceneScorer> SceneScorer::create_kept(const SceneLabels& labels, double scale, const EmbedTexts& embed,
                                             const std::string& folder, const std::string& params) {
  if (!(scale > 0 && std::isfinite(scale)))
    return fail(ErrorCode::kInvalidArgument, "the model's option logit_scale must be above 0");
  SceneScorer scorer;
  scorer.scale_ = scale;
  const std::string file = folder.empty() ? "" : join_path(folder, "scenes-" + params + ".bin");
  std::optional<std::vector<float>> rows;
  if (!file.empty() && !labels.labels.empty()) rows = read_kept(file, labels);
  if (!rows) {
    IE_TRY(rows, embed_labels(labels, embed));
    if (!file.empty())
      if (const Status kept = keep(folder, file, labels, *rows); !kept)
        log_warning("the scenes' labels will be embedded again next time: {}", kept.error().message);
  }
  for (const SceneLabels::Label& label : labels.labels) scorer.names_.push_back(label.name);
  scorer.dimensions_ = rows->size() / rows_of(labels);
  scorer.vectors_ = std::move(*rows);
  return scorer;
}

Result<std::vector<SceneGuess>> SceneScorer::score(std::span<const float> embedding) const {
  if (embedding.size() != dimensions_)
    return fail(ErrorCode::kInvalidArgument, "an embedding of " + std::to_string(embedding.size()) +
                                                 " numbers cannot be compared with labels of " +
                                                 std::to_string(dimensions_));
  if (!all_finite(embedding)) return fail(ErrorCode::kInvalidArgument, "an embedding has NaN or infinite values");
  std::vector<double> logits;
  for (std::size_t row = 0; (row + 1) * dimensions_ <= vectors_.size(); ++row)
    logits.push_back(scale_ * std::inner_product(embedding.begin(), embedding.end(),
                                                 vectors_.begin() + static_cast<std::ptrdiff_t>(row * dimensions_),
                                                 0.0));
  softmax(logits);
  return best_guesses(names_, logits, kTopScenes);
}

Result<SceneClassifier> SceneClassifier::create(const models::Spec& spec, std::unique_ptr<infer::Session> session) {
  SceneClassifier classifier;
  classifier.model_ = spec.name;
  classifier.labels_ = spec.labels;
  IE_TRY(classifier.plan_, plan_of(spec));
  IE_TRY(const double top, models::number_option(spec, "top", static_cast<double>(kTopScenes)));
  classifier.top_ = static_cast<std::size_t>(std::clamp(top, 1.0, static_cast<double>(kTopScenes)));
  const auto checked = [&]() -> Status {
    if (spec.head != "softmax" && spec.head != "probabilities")
      return fail(ErrorCode::kInvalidArgument, "its head is '" + spec.head + "', not softmax or probabilities");
    if (spec.labels.empty()) return fail(ErrorCode::kInvalidArgument, "its spec has no labels");
    IE_CHECK(check_options(spec));
    const auto background = spec.head_options.find("background");
    classifier.background_ = background != spec.head_options.end() && background->second == "true";
    const auto& inputs = session->inputs();
    IE_TRY(const std::size_t picture, find_picture(spec, inputs));
    IE_CHECK(check_input(classifier.plan_, inputs[picture]));
    IE_TRY(classifier.output_, find_output(spec.outputs, session->outputs()));
    return {};
  }();
  if (!checked) return name_model(spec.name, checked.error());
  classifier.softmax_ = spec.head == "softmax";
  classifier.session_ = std::move(session);

  // Checks that the numbers of labels and classes are equal, with a trial run.
  const std::vector<std::uint8_t> black(std::size_t{4} * 4 * 3);
  IE_CHECK(classifier.classify({4, 4, black}));
  return classifier;
}

Result<std::vector<SceneGuess>> SceneClassifier::classify(const ImageView& picture, preprocess::FullSize full) const {
  IE_TRY(const auto prepared, preprocess::prepare(plan_, picture, full));
  const std::size_t skipped = background_ ? 1 : 0, classes = labels_.size() + skipped;
  const auto run = [&]() -> Result<std::vector<double>> {
    IE_TRY(const auto outputs, session_->run({&prepared.tensor, 1}, {&output_, 1}));
    const Tensor& output = outputs.front();
    IE_CHECK(check_output(output, 1));
    if (output.count() != classes)
      return fail(ErrorCode::kCorrupt, "its output " + shape_text(output.shape) + " is not of " +
                                           std::to_string(classes) + " classes, as its labels are");
    const auto values = output.as<float>();
    return std::vector<double>(values.begin(), values.end());
  };
  auto values = run();
  if (!values) return name_model(model_, std::move(values).error());
  if (softmax_) softmax(*values);
  return best_guesses(labels_, std::span(*values).subspan(skipped), top_);
}

}  // namespace image_engine::vision
