#include "audio/sound_tagger.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "audio/features.h"
#include "audio/upsample.h"
#include "core/json.h"

namespace image_engine::audio {
namespace {

constexpr auto kReach = static_cast<std::int64_t>(kUpsampleReach);
constexpr std::int64_t kLeastTail = kSampleRate / 10;   // a shorter rest of a recording has no window of its own
constexpr std::size_t kTaggedPiece = 10 * kSampleRate;  // that is taken in at once

std::int64_t from_window(const TaggingPlan& plan) { return plan.doubles_rate ? kReach : 0; }

}  // namespace

double TaggingPlan::step_seconds() const {
  return static_cast<double>(hop) / static_cast<double>(hop_steps) / static_cast<double>(kSampleRate);
}

SoundTagger::SoundTagger(std::shared_ptr<const infer::Session> session, std::shared_ptr<const TaggingPlan> plan)
    : session_(std::move(session)), plan_(std::move(plan)), open_(plan_->kept.size()) {}

Tensor SoundTagger::input_of(const TaggingPlan& plan, std::span<const float> samples, std::int64_t from,
                             std::int64_t window) {
  const std::int64_t reach = from_window(plan), begin = window - reach;
  std::vector<float> heard(static_cast<std::size_t>(plan.window + 2 * reach));
  const std::int64_t first = std::max(begin, from);
  const std::int64_t last = std::min(begin + std::ssize(heard), from + std::ssize(samples));
  if (first < last)
    std::ranges::copy(samples.subspan(static_cast<std::size_t>(first - from), static_cast<std::size_t>(last - first)),
                      heard.begin() + (first - begin));
  if (plan.doubles_rate) heard = upsample(heard);
  if (plan.features) heard = plan.features->compute(heard);
  Tensor input = Tensor::zeros(ElementType::kFloat32, plan.input);
  std::ranges::copy(heard, input.as<float>().begin());
  return input;
}

// The sample at which the last window's scores end.
std::int64_t SoundTagger::heard_to() const { return heard_steps_ * plan_->hop / plan_->hop_steps; }

// The next window.
Status SoundTagger::hear() {
  const Tensor input = input_of(*plan_, samples_, first_sample_, next_window_ * plan_->hop);
  IE_TRY(const std::vector<Tensor> outputs, session_->run({&input, 1}, plan_->outputs));
  const auto wrong = [&](const std::string& what) { return fail(ErrorCode::kCorrupt, plan_->model + ": " + what); };
  if (outputs.size() != 1 || outputs[0].type != ElementType::kFloat32)
    return wrong("its graph gives no scores in float32");
  const std::span<const float> scores = outputs[0].as<float>();
  const auto rows = static_cast<std::int64_t>(scores.size() / plan_->labels);
  if (outputs[0].shape.empty() || outputs[0].shape.back() != static_cast<std::int64_t>(plan_->labels))
    return wrong(fmt::format("its graph gives {} scores, and there are {} labels",
                             outputs[0].shape.empty() ? 1 : outputs[0].shape.back(), plan_->labels));
  if (!plan_->has_rows && rows != 1)
    return wrong(fmt::format("its graph gives {} rows of scores for a window; state `sound.row_seconds`", rows));
  if (plan_->has_rows && rows < plan_->hop_steps)
    return wrong(fmt::format("its graph gives {} rows of scores for a window; `sound.hop_seconds` needs {}", rows,
                             plan_->hop_steps));
  const auto is_score = [&](float score) {
    return std::isfinite(score) && (plan_->has_logits || (score >= -1e-3F && score <= 1 + 1e-3F));
  };
  if (const auto bad = std::ranges::find_if_not(scores, is_score); bad != scores.end())
    return wrong(fmt::format("its graph gives the score {}, which is no probability{}", *bad,
                             std::isfinite(*bad) ? "; if it gives logits, state `head: sigmoid`" : ""));
  spread(scores, rows);
  ++next_window_;
  const std::int64_t needed = next_window_ * plan_->hop - from_window(*plan_);
  const std::int64_t done = std::clamp<std::int64_t>(needed - first_sample_, 0, std::ssize(samples_));
  samples_.erase(samples_.begin(), samples_.begin() + done);
  first_sample_ += done;
  return {};
}

// Adds a window's scores to its steps.
void SoundTagger::spread(std::span<const float> scores, std::int64_t rows) {
  const std::int64_t first = next_window_ * plan_->hop_steps;
  const std::int64_t count = plan_->has_rows ? std::min(rows, plan_->window_steps) : plan_->window_steps;
  for (std::int64_t i = std::max<std::int64_t>(0, next_step_ - first); i < count; ++i) {
    const auto at = static_cast<std::size_t>(first + i - next_step_);
    while (steps_.size() <= at) steps_.push_back({std::vector<float>(plan_->kept.size()), 0});
    const auto row = scores.subspan(plan_->has_rows ? static_cast<std::size_t>(i) * plan_->labels : 0, plan_->labels);
    for (std::size_t index = 0; index < plan_->kept.size(); ++index) {
      const float value = row[plan_->kept[index]];
      steps_[at].sums[index] += plan_->has_logits ? 1 / (1 + std::exp(-value)) : std::clamp(value, 0.0F, 1.0F);
    }
    ++steps_[at].windows;
  }
  heard_steps_ = first + count;
}

void SoundTagger::close(std::size_t index, std::vector<SoundSpan>& found) {
  const Open span = *std::exchange(open_[index], {});
  if (span.to - span.from < plan_->least_sound) return;
  found.push_back({plan_->names[index], static_cast<double>(span.from) * plan_->step_seconds(),
                   static_cast<double>(span.to) * plan_->step_seconds(), span.sum / static_cast<double>(span.loud)});
}

// Of the step next_step_.
void SoundTagger::score(std::size_t index, float score, std::vector<SoundSpan>& found) {
  std::optional<Open>& span = open_[index];
  if (score < plan_->threshold) {
    if (span && next_step_ + 1 - span->to > plan_->most_pause) close(index, found);
    return;
  }
  if (!span) span = Open{next_step_, next_step_, 0, 0};
  span->to = next_step_ + 1;
  span->sum += score;
  ++span->loud;
}

// The steps before `end` are what they will be.
void SoundTagger::settle(std::int64_t end, std::vector<SoundSpan>& found) {
  for (; next_step_ < end && !steps_.empty(); ++next_step_) {
    const Step& step = steps_.front();
    for (std::size_t index = 0; index < open_.size(); ++index)
      score(index, step.sums[index] / static_cast<float>(step.windows), found);
    steps_.pop_front();
  }
}

Result<std::vector<SoundSpan>> SoundTagger::add(std::span<const float> samples) {
  std::vector<SoundSpan> found;
  while (!samples.empty()) {
    const auto piece = samples.first(std::min(kTaggedPiece, samples.size()));
    samples = samples.subspan(piece.size());
    samples_.insert(samples_.end(), piece.begin(), piece.end());
    while (first_sample_ + std::ssize(samples_) >= next_window_ * plan_->hop + plan_->window + from_window(*plan_)) {
      IE_CHECK(hear());
      settle(next_window_ * plan_->hop_steps, found);
    }
  }
  return found;
}

Result<std::vector<SoundSpan>> SoundTagger::finish() {
  std::vector<SoundSpan> found;
  const std::int64_t end = first_sample_ + std::ssize(samples_);
  while (end > 0 && (next_window_ == 0 || end - heard_to() > kLeastTail)) IE_CHECK(hear());
  const double seconds = static_cast<double>(end) / kSampleRate;
  settle(static_cast<std::int64_t>(std::ceil(seconds / plan_->step_seconds() - 1e-6)), found);
  for (std::size_t index = 0; index < open_.size(); ++index)
    if (open_[index]) close(index, found);
  for (SoundSpan& span : found) span.to = std::min(span.to, seconds);
  return found;
}

std::string SoundTagger::state() const {
  nlohmann::json spans = nlohmann::json::object();
  for (std::size_t index = 0; index < open_.size(); ++index)
    if (const auto& span = open_[index]) spans[plan_->names[index]] = {span->from, span->to, span->sum, span->loud};
  const nlohmann::json document = {
      {"classes", plan_->names.size()}, {"steps", next_step_}, {"spans", std::move(spans)}};
  return json_text(document);
}

Result<double> SoundTagger::resume(const std::string& state) {
  const auto other_kind = [] {
    return fail(ErrorCode::kCorrupt, "the saved state of a search for named sounds is of another kind");
  };
  const nlohmann::json saved = parse_json(state);
  std::vector<std::optional<Open>> open(plan_->names.size());
  std::int64_t steps = 0;
  try {
    steps = saved.at("steps").get<std::int64_t>();
    if (saved.at("classes") != plan_->names.size() || steps < 0 || steps % plan_->hop_steps != 0) return other_kind();
    for (const auto& [name, span] : saved.at("spans").items()) {
      const auto at = std::ranges::find(plan_->names, name);
      if (at == plan_->names.end()) return other_kind();
      const Open each{span.at(0).get<std::int64_t>(), span.at(1).get<std::int64_t>(), span.at(2).get<double>(),
                      span.at(3).get<std::int64_t>()};
      if (each.from < 0 || each.to <= each.from || each.to > steps || each.loud < 1) return other_kind();
      open[static_cast<std::size_t>(at - plan_->names.begin())] = each;
    }
  } catch (const nlohmann::json::exception&) {
    return other_kind();
  }
  // The windows that begin before the first step that is not settled hear it, too.
  const std::int64_t shared = (plan_->window_steps + plan_->hop_steps - 1) / plan_->hop_steps - 1;
  open_ = std::move(open);
  steps_.clear();
  samples_.clear();
  next_step_ = heard_steps_ = steps;
  next_window_ = std::max<std::int64_t>(0, steps / plan_->hop_steps - shared);
  first_sample_ = std::max<std::int64_t>(0, next_window_ * plan_->hop - from_window(*plan_));
  return static_cast<double>(first_sample_) / kSampleRate;
}

}  // namespace image_engine::audio
