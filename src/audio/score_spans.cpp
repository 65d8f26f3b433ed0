#include "audio/score_spans.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>
#include <vector>

namespace image_engine::audio {

void ScoreSpans::remember(float score) {
  recent_.push_back(score);
  if (recent_.size() > rules_.smoothed) recent_.pop_front();
  sums_.push_back(sum_);
  if (sums_.size() > rules_.smoothed + 1) sums_.pop_front();
  sum_ += score;
}

bool ScoreSpans::above() const {
  return std::accumulate(recent_.begin(), recent_.end(), 0.0F) / static_cast<float>(recent_.size()) >= rules_.threshold;
}

FrameSpan ScoreSpans::span_of(const Ended& ended) {
  return {ended.begun.from, ended.to, (ended.sum - ended.begun.sum) / static_cast<double>(ended.to - ended.begun.from)};
}

// What rises is a span of its own, or the one that ended just before goes on.
std::optional<FrameSpan> ScoreSpans::begin() {
  phase_ = Phase::kSounding;
  const std::optional<Ended> before = std::exchange(ended_, {});
  if (before && before->to < begun_.from) return span_of(*before);
  if (before) begun_ = before->begun;
  return {};
}

std::optional<FrameSpan> ScoreSpans::add(float score) {
  remember(score);
  const std::int64_t frame = next_++;
  const auto since = static_cast<std::size_t>(frame - since_);
  switch (phase_) {
    case Phase::kQuiet:
      if (above()) {
        phase_ = Phase::kRising;
        since_ = frame;
        begun_ = {std::max(first_, frame - static_cast<std::int64_t>(rules_.smoothed)), sums_.front()};
      }
      break;
    case Phase::kRising:
      if (!above())
        phase_ = Phase::kQuiet;
      else if (since >= rules_.least_sound)
        return begin();
      break;
    case Phase::kSounding:
      if (!above()) {
        phase_ = Phase::kFading;
        since_ = frame;
      }
      break;
    case Phase::kFading:
      if (above())
        phase_ = Phase::kSounding;
      else if (since >= rules_.least_pause) {
        phase_ = Phase::kQuiet;
        ended_ = {begun_, frame, sums_.back()};
      }
      break;
  }
  if (phase_ != Phase::kQuiet || !ended_ || frame < ended_->to + static_cast<std::int64_t>(rules_.smoothed)) return {};
  return span_of(*std::exchange(ended_, {}));
}

std::optional<FrameSpan> ScoreSpans::open() const {
  if (phase_ == Phase::kSounding || phase_ == Phase::kFading) return span_of({begun_, next_, sum_});
  return ended_ ? std::optional(span_of(*ended_)) : std::nullopt;
}

nlohmann::json ScoreSpans::save() const {
  nlohmann::json ended;
  if (ended_) ended = {ended_->begun.from, ended_->begun.sum, ended_->to, ended_->sum};
  return {{"first", first_}, {"next", next_},       {"phase", static_cast<int>(phase_)},
          {"since", since_}, {"from", begun_.from}, {"before", begun_.sum},
          {"ended", ended},  {"sum", sum_},         {"scores", recent_},
          {"sums", sums_}};
}

Status ScoreSpans::load(const nlohmann::json& saved) {
  ScoreSpans loaded(rules_);
  try {
    saved.at("first").get_to(loaded.first_);
    saved.at("next").get_to(loaded.next_);
    const int phase = saved.at("phase").get<int>();
    saved.at("since").get_to(loaded.since_);
    loaded.begun_ = {saved.at("from").get<std::int64_t>(), saved.at("before").get<double>()};
    if (const nlohmann::json& ended = saved.at("ended"); !ended.is_null())
      loaded.ended_ = {{ended.at(0).get<std::int64_t>(), ended.at(1).get<double>()},
                       ended.at(2).get<std::int64_t>(),
                       ended.at(3).get<double>()};
    saved.at("sum").get_to(loaded.sum_);
    saved.at("scores").get_to(loaded.recent_);
    saved.at("sums").get_to(loaded.sums_);
    if (phase < 0 || phase > static_cast<int>(Phase::kFading) || loaded.recent_.size() > rules_.smoothed ||
        loaded.sums_.size() > rules_.smoothed + 1 || loaded.next_ < loaded.first_)
      return fail(ErrorCode::kCorrupt, "the saved state of a search for sounds holds impossible numbers");
    loaded.phase_ = static_cast<Phase>(phase);
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::kCorrupt, "the saved state of a search for sounds cannot be read");
  }
  *this = loaded;
  return {};
}

}  // namespace image_engine::audio
