#include "video/scene_changes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "video/frame_signature.h"

namespace image_engine::video {
namespace {

// All constants were chosen on the set `tuning` of bench/video/scene_quality.py, seeds 1 to 12 (14,643 frames with 159
// cuts, 46 fades, 71 dissolves, and flashes, shakes and changes of light) and checked on its seeds 101 to 108.
// docs/scene_changes.md has the figures.

// A cut: a step of this unlikeness at least, above a line over the level around. Two lines, the lower one counts: among
// calm frames real cuts were 0.26 at a level of 0.05 and more, shakes 0.42 at 0.17; among busy ones (the uncomposed
// film) cuts 0.58 at 0.29, shakes 0.51 at 0.24.
constexpr float kLeastCut = 0.22f;
constexpr float kCalmBase = 0.1f, kCalmSlope = 2.2f, kBusyBase = 0.25f, kBusySlope = 1.1f;
constexpr std::int64_t kNeighbours = 4;  // frames on each side that are the level
// Only the light changed: what is left in one light is below 0.2, or below this share of the step. Cuts: 0.43 and more
// of it; changes of light: 0.37 at most where the step is large.
constexpr float kOtherLight = 0.2f, kOtherLightShare = 0.4f;
// A flash: the old scene is back, unlike the frame before by less than this share of the step. Flashes: 0.51 at most;
// cuts: 0.69 and more.
constexpr float kFlashShare = 0.58f;

// A dissolve: steadiness times distance of the middle of a window, for each half of a window; short ones see fast
// movement as a mixture. Of windows without a change 99.7 % are below 0.44, 0.32, 0.27, 0.27 and 0.1 (the longest
// has too few); 0.5 in all found two dissolves in the check that are none, both by the short ones.
struct HalfWindow {
  double seconds;
  float least;
};
constexpr HalfWindow kHalfWindows[] = {{0.16, 0.75f}, {0.24, 0.65f}, {0.36, 0.5f},
                                       {0.54, 0.5f},  {0.8, 0.5f},   {1.2, 0.5f}};
constexpr std::int64_t kShortestHalf = 2;  // frames
// Correlations when moved. Of both ends: dissolves 0.65 at most. Of the middle with the less like end: dissolves 0.79
// at most.
constexpr float kSameEnds = 0.7f, kSameAsMiddle = 0.85f;
constexpr float kDim = 0.2f;                        // contrast of one end of that of the other: below, it is a fade
constexpr float kSureOfMix = 4;                     // times the least score is as sure as it gets
constexpr double kMixGap = 0.2, kLongestMix = 1.3;  // seconds: between middles of one dissolve, and from first to last

// A fade goes through frames of this mean distance from their mean luma at most: the black of composed fades has 0, the
// dimmest real frame 13.
constexpr float kBlank = 3;
constexpr double kLongestBlank = 1.0, kLongestRamp = 2.0;  // seconds; a longer blank is a scene of its own
// A ramp has so many frames between 15 % and 85 % of the full contrast; flashes and cuts to black have none.
constexpr std::int64_t kShortestRamp = 2;
constexpr float kLeastOfRamp = 0.15f, kMostOfRamp = 0.85f;
constexpr float kRise = 1.01f;          // in contrast, from a frame of a ramp to the next; ramps of 2 s have 1.02
constexpr std::int64_t kAfterRamp = 2;  // frames that rise no more and end a ramp
constexpr float kSameScene = 0.25f;     // unlikeness below which a short blank was a flash

// A frame is judged when those of the next kAhead are there, half of the longest window. A change is returned when
// those of kSettled more are judged, so that a fade can still replace the cuts that were seen in it.
constexpr double kAhead = 1.2, kSettled = 1.5, kHistory = 3.0;  // seconds
constexpr double kSameTime = 1e-6;                              // seconds
constexpr std::int64_t kMostAhead = 160, kMostHeld = 512;       // frames, at high rates instead of the times above

struct HeldFrame {
  FrameSignature seen;
  float step = 0;      // unlikeness to the frame before
  bool leaps = false;  // the step stands out from those around; known once kNeighbours more frames are there
};

// Frames of one colour that follow one another.
struct BlankRun {
  std::int64_t first, last;  // positions
  FrameSignature before;     // the last frame before the picture began to fade out
  std::int64_t ramp_frames;  // in which it did
  bool is_scene;             // it lasts so long, or the video begins with it, that it is a scene itself
};

struct MixWindow {
  std::int64_t first, last;  // positions
  float score = 0;           // 1: just a dissolve
};

// Middles of windows that look mixed and follow one another: one dissolve.
struct MixRun {
  double first_seconds, last_seconds;
  float score;
  SceneChange change;  // by the best window
};

class BuiltInDetector final : public SceneDetector {
 public:
  explicit BuiltInDetector(const SceneDetectorOptions& options) : options_(options) {}

  Result<std::vector<SceneChange>> add(const SmallFrame& frame) override {
    if (frame.rgb.size() != std::size_t{kSmallWidth} * kSmallHeight * 3) return std::vector<SceneChange>{};
    hold(frame);
    watch_blank();
    while (can_judge()) judge(centre_++);
    forget();
    return centre_ > 0 ? release(seconds(centre_ - 1) - kSettled) : std::vector<SceneChange>{};
  }

  Result<std::vector<SceneChange>> finish() override {
    for (std::int64_t i = std::max(base_ + 1, end() - kNeighbours); i < end(); ++i) note_leap(i);
    while (centre_ < end()) judge(centre_++);
    close_mix();
    end_blank();
    std::vector<SceneChange> changes = release(std::numeric_limits<double>::infinity());
    *this = BuiltInDetector(options_);
    return changes;
  }

  [[nodiscard]] double delay(double spacing) const override {
    return std::max(kHistory, kSettled + static_cast<double>(kNeighbours + 1) * spacing);
  }

 private:
  std::int64_t end() const { return base_ + static_cast<std::int64_t>(frames_.size()); }
  const HeldFrame& at(std::int64_t position) const { return frames_[static_cast<std::size_t>(position - base_)]; }
  double seconds(std::int64_t position) const { return at(position).seen.seconds; }
  double newest_seconds() const { return frames_.back().seen.seconds; }

  void hold(const SmallFrame& frame) {
    HeldFrame held{sign(frame)};
    if (frames_.empty()) {
      first_seconds_ = held.seen.seconds;
    } else {
      const FrameSignature& before = frames_.back().seen;
      if (!(held.seen.seconds > before.seconds)) held.seen.seconds = before.seconds;
      held.step = unlikeness(before, held.seen);
    }
    frames_.push_back(held);
    if (end() - 1 - kNeighbours > base_) note_leap(end() - 1 - kNeighbours);
  }

  void note_leap(std::int64_t position) {
    HeldFrame& held = frames_[static_cast<std::size_t>(position - base_)];
    const float level = level_around(position);
    const float over_level = std::min(kCalmBase + kCalmSlope * level, kBusyBase + kBusySlope * level);
    held.leaps = held.step * options_.sensitivity >= std::max(kLeastCut, over_level);
  }

  bool can_judge() const {
    const std::int64_t known = end() - 1 - kNeighbours;  // up to here it is known which steps stand out
    return centre_ <= known && (known - centre_ >= kMostAhead || seconds(known) - seconds(centre_) >= kAhead);
  }

  void judge(std::int64_t position) {
    judge_cut(position);
    judge_mix(position);
  }

  void forget() {
    while (!frames_.empty() && base_ < centre_ - kNeighbours &&
           (static_cast<std::int64_t>(frames_.size()) > kMostHeld || seconds(base_) < newest_seconds() - kHistory)) {
      frames_.pop_front();
      ++base_;
    }
  }

  // Cuts

  void judge_cut(std::int64_t position) {
    if (position <= base_ || !at(position).leaps || is_flash(position) || is_other_light(position)) return;
    propose(change(ChangeKind::kCut, position - 1, position, at(position).step));
  }

  bool is_other_light(std::int64_t position) const {
    const float left = unlikeness_in_one_light(at(position - 1).seen, at(position).seen);
    return left < std::max(kOtherLight, kOtherLightShare * at(position).step);
  }

  // The third highest step around: what a flash beside it adds is not counted.
  float level_around(std::int64_t position) const {
    std::array<float, 2 * kNeighbours> steps;
    std::size_t count = 0;
    const std::int64_t last = std::min(end() - 1, position + kNeighbours);
    for (std::int64_t i = std::max(base_ + 1, position - kNeighbours); i <= last; ++i)
      if (i != position) steps[count++] = at(i).step;
    if (count < 3) return 0;
    std::nth_element(steps.begin(), steps.begin() + 2, steps.begin() + count, std::greater<>());
    return steps[2];
  }

  // Whether the old scene is back soon after `position`, or the new one was there shortly before.
  bool is_flash(std::int64_t position) const {
    const float alike = at(position).step * kFlashShare;
    const FrameSignature& before = at(position - 1).seen;
    const FrameSignature& after = at(position).seen;
    for (std::int64_t i = position + 1; i < end() && seconds(i) - seconds(position) < options_.shortest_scene; ++i)
      if (unlikeness(before, at(i).seen) < alike) return true;
    for (std::int64_t i = position - 2; i >= base_ && seconds(position - 1) - seconds(i) < options_.shortest_scene; --i)
      if (unlikeness(at(i).seen, after) < alike) return true;
    return false;
  }

  // Dissolves

  void judge_mix(std::int64_t middle) {
    const MixWindow best = best_window(middle);
    const double now = seconds(middle);
    if (best.score * options_.sensitivity >= 1) extend_mix(best, middle);
    if (mix_ && (now - mix_->last_seconds > kMixGap || now - mix_->first_seconds > kLongestMix)) close_mix();
  }

  // No window reaches beyond what stands out: a dissolve has no such frames.
  MixWindow best_window(std::int64_t middle) const {
    MixWindow best{middle, middle};
    MixWindow window = best;
    for (const auto& [half, least] : kHalfWindows) {
      const MixWindow shorter = window;
      const auto reached = [&](std::int64_t i) { return std::abs(seconds(i) - seconds(middle)) >= half - kSameTime; };
      while (!reached(window.first) && window.first > base_ && !at(window.first).leaps) --window.first;
      while (!reached(window.last) && window.last < end() - 1 && !at(window.last + 1).leaps) ++window.last;
      if (!reached(window.first) || !reached(window.last)) break;
      if (window.first == shorter.first && window.last == shorter.last) continue;
      if (middle - window.first < kShortestHalf || window.last - middle < kShortestHalf) continue;
      window.score = mix_score(window.first, middle, window.last) / least;
      if (window.score > best.score) best = window;
    }
    return best;
  }

  // Whether the camera moved over one scene, perhaps so far that only the middle has something of both ends.
  bool is_one_scene(const MixWindow& window, std::int64_t middle) const {
    const FrameSignature &a = at(window.first).seen, &between = at(middle).seen, &b = at(window.last).seen;
    return correlation_when_moved(a, b) > kSameEnds ||
           (correlation_when_moved(a, between) > kSameAsMiddle && correlation_when_moved(between, b) > kSameAsMiddle);
  }

  float mix_score(std::int64_t a, std::int64_t middle, std::int64_t b) const {
    const float at_a = at(a).seen.overall.deviation, at_b = at(b).seen.overall.deviation;
    if (std::min(at_a, at_b) < std::max(kBlank, kDim * std::max(at_a, at_b))) return 0;  // rather a fade
    const Mix mix = mix_of(at(a).seen, at(middle).seen, at(b).seen);
    return mix.steadiness * mix.distance;
  }

  void extend_mix(const MixWindow& found, std::int64_t middle) {
    const double now = seconds(middle);
    if (mix_ && found.score <= mix_->score) {
      mix_->last_seconds = now;
    } else if (!is_one_scene(found, middle)) {
      mix_ = MixRun{mix_ ? mix_->first_seconds : now, now, found.score, dissolve_in(found)};
    }
  }

  // Its ends lie as far beyond a quarter and three quarters of the way as a straight line through these does.
  SceneChange dissolve_in(const MixWindow& window) const {
    const std::int64_t a = window.first, b = window.last;
    const auto share = [&](std::int64_t i) { return share_of_way(at(a).seen, at(i).seen, at(b).seen); };
    std::int64_t early = a, late = b;
    for (std::int64_t i = a; i < b; ++i)
      if (share(i) < 0.25f) early = i;
    for (std::int64_t i = b; i > early; --i)
      if (share(i) > 0.75f) late = i;
    const std::int64_t beyond = (late - early) / 2;
    return change(ChangeKind::kDissolve, std::max(a, early - beyond), std::min(b, late + beyond),
                  window.score / kSureOfMix);
  }

  void close_mix() {
    if (mix_) propose(mix_->change);
    mix_.reset();
  }

  // Fades

  bool is_blank(std::int64_t position) const { return at(position).seen.overall.deviation < kBlank; }

  // Whether `outer` has more of a picture, further from the blank's brightness, than `inner`, which is nearer to the
  // blank.
  bool rises(std::int64_t outer, std::int64_t inner, std::int64_t blank) const {
    const FrameSignature &o = at(outer).seen, &i = at(inner).seen;
    const float mean = at(blank).seen.overall.mean;
    return o.overall.deviation > i.overall.deviation * kRise &&
           std::abs(o.overall.mean - mean) > std::abs(i.overall.mean - mean);
  }

  std::int64_t ramp_from(std::int64_t blank, std::int64_t direction) const {
    std::int64_t at_end = blank;
    const auto inside = [&](std::int64_t i) {
      return i >= base_ && i < end() && std::abs(seconds(i) - seconds(blank)) <= kLongestRamp;
    };
    for (;;) {
      const std::int64_t next = at_end + direction, beyond = next + direction;
      if (inside(next) && rises(next, at_end, blank))
        at_end = next;
      else if (inside(beyond) && rises(beyond, at_end, blank))
        at_end = beyond;
      else
        return at_end;
    }
  }

  // How many frames are neither blank nor the full picture; a flash or a cut to black has none.
  std::int64_t frames_of_ramp(std::int64_t from, std::int64_t to) const {
    const float full = std::max(at(from).seen.overall.deviation, at(to).seen.overall.deviation);
    std::int64_t count = 0;
    for (std::int64_t i = from + 1; i < to; ++i) {
      const float share = at(i).seen.overall.deviation / std::max(full, 1.0f);
      count += share > kLeastOfRamp && share < kMostOfRamp;
    }
    return count;
  }

  void watch_blank() {
    const std::int64_t now = end() - 1;
    if (!blank_) {
      if (is_blank(now)) enter_blank(now);
    } else if (is_blank(now)) {
      blank_->last = now;
      if (!blank_->is_scene && seconds(now) - seconds(blank_->first) > kLongestBlank) become_scene();
    } else {
      const std::int64_t ramp_end = ramp_from(blank_->last, 1);
      const bool too_long = seconds(now) - seconds(blank_->last) > kLongestRamp || now - blank_->last > kMostAhead;
      if (ramp_end < now - kAfterRamp || too_long) leave_blank(ramp_end);
    }
  }

  void enter_blank(std::int64_t now) {
    const std::int64_t start = ramp_from(now, -1);
    blank_ = BlankRun{now, now, at(start).seen, frames_of_ramp(start, now), start == 0};
  }

  void become_scene() {
    if (blank_->ramp_frames >= kShortestRamp) propose_fade(blank_->before, at(blank_->first).seen);
    blank_->is_scene = true;
  }

  void leave_blank(std::int64_t ramp_end) {
    const BlankRun run = *std::exchange(blank_, std::nullopt);
    const std::int64_t ramp_in = frames_of_ramp(run.last, ramp_end);
    if (ramp_in + (run.is_scene ? 0 : run.ramp_frames) < kShortestRamp) return;
    const FrameSignature& before = run.is_scene ? at(run.last).seen : run.before;
    const FrameSignature& after = at(ramp_end).seen;
    const bool is_flash =
        after.seconds - before.seconds < 2 * options_.shortest_scene && unlikeness(before, after) < kSameScene;
    if (!is_flash) propose_fade(before, after);
  }

  void end_blank() {
    if (!blank_) return;
    if (blank_->last < end() - 1)
      leave_blank(ramp_from(blank_->last, 1));
    else if (!blank_->is_scene && seconds(blank_->last) - seconds(blank_->first) >= options_.shortest_scene)
      become_scene();
  }

  void propose_fade(const FrameSignature& from, const FrameSignature& to) {
    propose({ChangeKind::kFade, from.index, to.index, from.seconds, to.seconds, unlikeness(from, to)});
  }

  // What is returned

  SceneChange change(ChangeKind kind, std::int64_t from, std::int64_t to, float score) const {
    const FrameSignature &last = at(from).seen, &first = at(to).seen;
    return {kind, last.index, first.index, last.seconds, first.seconds, std::min(score, 1.0f)};
  }

  static float weight(const SceneChange& change) {
    return change.score + (change.kind == ChangeKind::kFade ? 2.0f : change.kind == ChangeKind::kCut ? 1.0f : 0.0f);
  }

  // Whether they overlap, or leave too short a scene between them.
  bool conflict(const SceneChange& a, const SceneChange& b) const {
    const double gap = options_.shortest_scene;
    return (a.from < b.to && b.from < a.to) ||
           (a.from_seconds < b.to_seconds + gap && b.from_seconds < a.to_seconds + gap);
  }

  void propose(const SceneChange& found) {
    if (found.from_seconds - first_seconds_ < options_.shortest_scene) return;
    if (released_ && conflict(*released_, found)) return;
    for (const SceneChange& other : pending_)
      if (conflict(other, found) && weight(other) >= weight(found)) return;
    std::erase_if(pending_, [&](const SceneChange& other) { return conflict(other, found); });
    pending_.insert(std::upper_bound(pending_.begin(), pending_.end(), found,
                                     [](const SceneChange& a, const SceneChange& b) { return a.from < b.from; }),
                    found);
  }

  std::vector<SceneChange> release(double until) {
    std::vector<SceneChange> released;
    while (!pending_.empty() && pending_.front().to_seconds <= until) {
      released.push_back(pending_.front());
      released_ = pending_.front();
      pending_.erase(pending_.begin());
    }
    return released;
  }

  SceneDetectorOptions options_;
  std::deque<HeldFrame> frames_;
  std::int64_t base_ = 0, centre_ = 0;  // positions of the oldest frame held and of the next one to be judged
  double first_seconds_ = 0;
  std::optional<MixRun> mix_;
  std::optional<BlankRun> blank_;
  std::vector<SceneChange> pending_;
  std::optional<SceneChange> released_;
};

}  // namespace

std::unique_ptr<SceneDetector> make_scene_detector(const SceneDetectorOptions& options) {
  return std::make_unique<BuiltInDetector>(options);
}

}  // namespace image_engine::video
