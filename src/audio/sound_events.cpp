#include "audio/sound_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "audio/spectrum.h"
#include "core/json.h"

namespace image_engine::audio {
namespace {

// Frames that a score depends on: eight blocks of the model's each remember 19 before and 20 after.
constexpr std::int64_t kFramesBefore = 8 * 19, kFramesAfter = 8 * 20;
constexpr std::int64_t kFramesScored = 3000;  // together
constexpr double kFramesPerSecond = static_cast<double>(kSampleRate) / kFrameShift;
constexpr double kFrameSeconds = static_cast<double>(kFrameSamples) / kSampleRate;
constexpr std::size_t kPiece = 10 * kSampleRate;  // that is taken in at once
constexpr std::int64_t kBands = KaldiFbank::kBands;
const std::vector<std::string> kScores = {"scores"};

Status check_sound_graph(const infer::Session& session, const std::string& model, std::size_t classes) {
  const auto free_or = [](std::int64_t size, std::int64_t wanted) { return size == -1 || size == wanted; };
  const auto fits = [&](const infer::TensorInfo& info, std::int64_t wanted) {
    return info.type == ElementType::kFloat32 && info.shape.size() == 3 && free_or(info.shape[0], 1) &&
           info.shape[1] == -1 && free_or(info.shape[2], wanted);
  };
  const auto &inputs = session.inputs(), &outputs = session.outputs();
  const auto scores = std::ranges::find(outputs, kScores.front(), &infer::TensorInfo::name);
  if (inputs.size() == 1 && fits(inputs[0], kBands) && scores != outputs.end() &&
      fits(*scores, static_cast<std::int64_t>(classes)))
    return {};
  return fail(ErrorCode::kCorrupt,
              fmt::format("{}: its graph is none from features [1, frames, {}] to scores [1, frames, {}]", model,
                          kBands, classes));
}

Result<double> option_within(const models::Spec& spec, const std::string& name, double otherwise, double least,
                             double most) {
  IE_TRY(const double value, models::number_option(spec, name, otherwise));
  if (value >= least && value <= most) return value;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: {} is {}; it is a number from {} to {}", spec.name, name, value, least, most));
}

Result<std::size_t> frames_option(const models::Spec& spec, const std::string& name, std::size_t otherwise) {
  IE_TRY(const double value, option_within(spec, name, static_cast<double>(otherwise), 1, 1000));
  return static_cast<std::size_t>(value);
}

}  // namespace

Result<std::vector<SoundClass>> sound_classes(const models::Spec& spec) {
  if (spec.labels.empty()) return fail(ErrorCode::kInvalidArgument, spec.name + ": has no labels");
  SpanRules rules;
  IE_TRY(const double threshold, option_within(spec, "threshold", rules.threshold, 0, 1));
  IE_TRY(rules.smoothed, frames_option(spec, "smoothed_frames", rules.smoothed));
  IE_TRY(rules.least_sound, frames_option(spec, "least_frames", rules.least_sound));
  IE_TRY(rules.least_pause, frames_option(spec, "least_pause_frames", rules.least_pause));
  std::vector<SoundClass> classes;
  for (const std::string& label : spec.labels) {
    IE_TRY(const double own, option_within(spec, label + "_threshold", threshold, 0, 1));
    rules.threshold = static_cast<float>(own);
    classes.push_back({label, rules});
  }
  return classes;
}

SoundEvents::SoundEvents(std::shared_ptr<const infer::Session> session, std::string model,
                         std::vector<SoundClass> classes)
    : session_(std::move(session)), model_(std::move(model)), classes_(std::move(classes)) {
  begin_at_frame(0);
}

Result<SoundEvents> SoundEvents::create(std::shared_ptr<const infer::Session> session, const std::string& model,
                                        std::vector<SoundClass> classes) {
  IE_CHECK(check_sound_graph(*session, model, classes.size()));
  return SoundEvents(std::move(session), model, std::move(classes));
}

double SoundEvents::begin_at_frame(std::int64_t frame) {
  finders_.clear();
  for (const SoundClass& each : classes_) finders_.emplace_back(each.rules, frame);
  bank_.clear();
  rows_.clear();
  next_ = frame;
  first_row_ = std::max<std::int64_t>(0, frame - kFramesBefore);
  samples_ = first_row_ * static_cast<std::int64_t>(kFrameShift);
  return static_cast<double>(first_row_) / kFramesPerSecond;
}

double SoundEvents::begin_at(double second) {
  return begin_at_frame(static_cast<std::int64_t>(std::floor(second * kFramesPerSecond + 1e-6)));
}

std::int64_t SoundEvents::rows_end() const { return first_row_ + static_cast<std::int64_t>(rows_.size()) / kBands; }

SoundSpan SoundEvents::named(std::size_t index, const FrameSpan& span) const {
  return {classes_[index].name, static_cast<double>(span.from) / kFramesPerSecond,
          static_cast<double>(span.to) / kFramesPerSecond, span.mean};
}

// The scores of the next `count` frames, from all rows up to kFramesAfter after them.
Status SoundEvents::score(std::int64_t count, std::vector<SoundSpan>& found) {
  const std::int64_t from = std::max<std::int64_t>(first_row_, next_ - kFramesBefore);
  const std::int64_t to = std::min(rows_end(), next_ + count + kFramesAfter);
  Tensor features = Tensor::zeros(ElementType::kFloat32, {1, to - from, kBands});
  std::copy_n(rows_.begin() + (from - first_row_) * kBands, features.count(), features.as<float>().begin());
  IE_TRY(const std::vector<Tensor> outputs, session_->run({&features, 1}, kScores));
  const auto classes = static_cast<std::int64_t>(classes_.size());
  if (outputs.size() != 1 || outputs[0].shape != std::vector<std::int64_t>{1, to - from, classes})
    return fail(ErrorCode::kCorrupt, model_ + ": its graph does not give a score of each class for each frame");
  const std::span<const float> scores =
      outputs[0].as<float>().subspan(static_cast<std::size_t>((next_ - from) * classes));
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
    for (std::size_t index = 0; index < classes_.size(); ++index)
      if (const auto ended = finders_[index].add(scores[i * classes_.size() + index]))
        found.push_back(named(index, *ended));
  next_ += count;
  const std::int64_t done = std::max<std::int64_t>(0, next_ - kFramesBefore - first_row_);
  rows_.erase(rows_.begin(), rows_.begin() + done * kBands);
  first_row_ += done;
  return {};
}

Result<std::vector<SoundSpan>> SoundEvents::add(std::span<const float> samples) {
  std::vector<SoundSpan> found;
  while (!samples.empty()) {
    const auto piece = samples.first(std::min(kPiece, samples.size()));
    samples = samples.subspan(piece.size());
    samples_ += static_cast<std::int64_t>(piece.size());
    bank_.add(piece, rows_);
    while (rows_end() >= next_ + kFramesScored + kFramesAfter) IE_CHECK(score(kFramesScored, found));
  }
  return found;
}

Result<std::vector<SoundSpan>> SoundEvents::finish() {
  std::vector<SoundSpan> found;
  if (rows_end() > next_) IE_CHECK(score(rows_end() - next_, found));
  // The last frame is longer than the step to the next one.
  const double end = static_cast<double>(next_) / kFramesPerSecond;
  const double last = std::min(end + kFrameSeconds, static_cast<double>(samples_) / kSampleRate);
  for (SoundSpan& span : open()) {
    if (span.to >= end) span.to = last;
    found.push_back(std::move(span));
  }
  return found;
}

std::vector<SoundSpan> SoundEvents::open() const {
  std::vector<SoundSpan> spans;
  for (std::size_t index = 0; index < classes_.size(); ++index)
    if (const auto span = finders_[index].open()) spans.push_back(named(index, *span));
  return spans;
}

std::string SoundEvents::state() const {
  nlohmann::json classes = nlohmann::json::object();
  for (std::size_t index = 0; index < classes_.size(); ++index) classes[classes_[index].name] = finders_[index].save();
  const nlohmann::json document = {{"next", next_}, {"classes", std::move(classes)}};
  return json_text(document);
}

Result<double> SoundEvents::resume(const std::string& state) {
  const nlohmann::json saved = parse_json(state);
  std::vector<ScoreSpans> finders;
  const auto other_kind = [] {
    return fail(ErrorCode::kCorrupt, "the saved state of a search for sounds is of another kind");
  };
  if (!saved.is_object() || !saved.contains("next") || !saved["next"].is_number_unsigned() ||
      !saved.contains("classes") || saved["classes"].size() != classes_.size())
    return other_kind();
  for (const SoundClass& each : classes_) {
    if (!saved["classes"].is_object() || !saved["classes"].contains(each.name)) return other_kind();
    IE_CHECK(finders.emplace_back(each.rules).load(saved["classes"][each.name]));
  }
  const double second = begin_at_frame(saved["next"].get<std::int64_t>());
  finders_ = std::move(finders);
  return second;
}

}  // namespace image_engine::audio
