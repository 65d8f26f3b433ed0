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

constexpr float kLeastCut = 0.22f, kCutBase = 0.1f, kCutOverLevel = 2.2f, kBusyCutBase = 0.25f,
                kBusyCutOverLevel = 1.1f;
constexpr float kOtherLight = 0.2f, kOtherLightShare = 0.4f;
constexpr float kFlashReturns = 0.58f;
constexpr std::int64_t kNeighbours = 4;  // frames on each side of a cut that it must stand out from

constexpr float kMoved = 0.5f;
constexpr float kMixCorrelation = 0.6f;
constexpr float kSureOfMix = 4;
constexpr float kDim = 0.2f;
struct HalfWindow {
  double seconds;
  float mixed;  // least score of a dissolve
};
constexpr HalfWindow kHalfWindows[] = {{0.16, 0.75f}, {0.24, 0.65f}, {0.36, 0.5f},
                                       {0.54, 0.5f},  {0.8, 0.5f},   {1.2, 0.5f}};
constexpr double kMixGap = 0.2, kLongestMixRun = 1.3;

constexpr float kBlank = 3;
constexpr double kLongestBlank = 1.0, kLongestRamp = 2.0;
constexpr std::int64_t kShortestRamp = 2, kAfterRamp = 2;  // frames
constexpr float kSameScene = 0.25f;

constexpr double kAhead = 1.2;     // seconds of frames that a frame's judgement waits for
constexpr double kPatience = 2.8;  // seconds after which nothing can displace a change any more
constexpr double kHistory = 3.0;
constexpr double kSameTime = 1e-6;  // seconds
constexpr std::int64_t kMostFramesAhead = 160, kMostFrames = 512;

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
  float score = 0;
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

  std::vector<SceneChange> add(const SmallFrame& frame) override {
    if (frame.rgb.size() != std::size_t{kSmallWidth} * kSmallHeight * 3) return {};
    hold(frame);
    watch_blank();
    while (can_judge()) judge(centre_++);
    forget();
    return release(newest_seconds() - kPatience);
  }

  std::vector<SceneChange> finish() override {
    for (std::int64_t i = std::max(base_ + 1, end() - kNeighbours); i < end(); ++i) note_leap(i);
    while (centre_ < end()) judge(centre_++);
    close_mix();
    end_blank();
    std::vector<SceneChange> changes = release(std::numeric_limits<double>::infinity());
    *this = BuiltInDetector(options_);
    return changes;
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
    frames_.push_back(std::move(held));
    if (end() - 1 - kNeighbours > base_) note_leap(end() - 1 - kNeighbours);
  }

  void note_leap(std::int64_t position) {
    HeldFrame& held = frames_[static_cast<std::size_t>(position - base_)];
    const float level = level_around(position);
    const float over_level = std::min(kCutBase + kCutOverLevel * level, kBusyCutBase + kBusyCutOverLevel * level);
    held.leaps = held.step * options_.sensitivity >= std::max(kLeastCut, over_level);
  }

  bool can_judge() const {
    const std::int64_t known = end() - 1 - kNeighbours;  // up to here it is known which steps stand out
    return centre_ <= known && (known - centre_ >= kMostFramesAhead || seconds(known) - seconds(centre_) >= kAhead);
  }

  void judge(std::int64_t position) {
    judge_cut(position);
    judge_mix(position);
  }

  void forget() {
    while (!frames_.empty() && base_ < centre_ - kNeighbours &&
           (static_cast<std::int64_t>(frames_.size()) > kMostFrames || seconds(base_) < newest_seconds() - kHistory)) {
      frames_.pop_front();
      ++base_;
    }
  }

  // Cuts

  void judge_cut(std::int64_t position) {
    if (position <= base_) return;
    const float step = at(position).step;
    if (!at(position).leaps) return;
    if (is_flash(position)) return;
    if (unlikeness_in_one_light(at(position - 1).seen, at(position).seen) <
        std::max(kOtherLight, kOtherLightShare * step))
      return;
    propose(change(ChangeKind::kCut, position - 1, position, step));
  }

  // The third highest step around: what a flash beside it adds is not counted.
  float level_around(std::int64_t position) const {
    std::vector<float> steps;
    for (std::int64_t i = std::max(base_ + 1, position - kNeighbours); i <= std::min(end() - 1, position + kNeighbours);
         ++i)
      if (i != position) steps.push_back(at(i).step);
    if (steps.size() < 3) return 0;
    std::nth_element(steps.begin(), steps.begin() + 2, steps.end(), std::greater<>());
    return steps[2];
  }

  // Whether the old scene is back soon after `position`, or the new one was there shortly before.
  bool is_flash(std::int64_t position) const {
    const float alike = at(position).step * kFlashReturns;
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
    if (mix_ && (now - mix_->last_seconds > kMixGap || now - mix_->first_seconds > kLongestMixRun)) close_mix();
  }

  // Windows end at what stands out: a dissolve has no such frames.
  MixWindow best_window(std::int64_t middle) const {
    MixWindow best{middle, middle};
    std::int64_t a = middle, b = middle;
    for (const auto& [half, mixed] : kHalfWindows) {
      const std::int64_t a_before = a, b_before = b;
      while (a > base_ && !at(a).leaps && seconds(middle) - seconds(a) < half - kSameTime) --a;
      while (b < end() - 1 && !at(b + 1).leaps && seconds(b) - seconds(middle) < half - kSameTime) ++b;
      if (a == a_before || b == b_before) break;
      if (middle - a < 2 || b - middle < 2) continue;
      const float score = mix_score(a, middle, b) / mixed;
      if (score > best.score) best = {a, b, score};
    }
    return best;
  }

  bool camera_moves(const MixWindow& window, std::int64_t middle) const {
    const FrameSignature& between = at(middle).seen;
    return share_left_by_move(at(window.first).seen, between) < kMoved ||
           share_left_by_move(between, at(window.last).seen) < kMoved;
  }

  float mix_score(std::int64_t a, std::int64_t middle, std::int64_t b) const {
    const float at_a = at(a).seen.overall.deviation, at_b = at(b).seen.overall.deviation;
    if (std::min(at_a, at_b) < std::max(kBlank, kDim * std::max(at_a, at_b))) return 0;  // rather a fade
    const Mix mix = mix_of(at(a).seen, at(middle).seen, at(b).seen);
    return mix.correlation < kMixCorrelation ? mix.steadiness * mix.distance : 0;
  }

  void extend_mix(const MixWindow& found, std::int64_t middle) {
    const double now = seconds(middle);
    if (mix_ && found.score <= mix_->score) {
      mix_->last_seconds = now;
    } else if (!camera_moves(found, middle)) {
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
    return o.overall.deviation > i.overall.deviation * 1.01f &&
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
    for (std::int64_t i = from + 1; i < to; ++i)
      count += at(i).seen.overall.deviation > 0.15f * full && at(i).seen.overall.deviation < 0.85f * full;
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
      const bool too_long =
          seconds(now) - seconds(blank_->last) > kLongestRamp || now - blank_->last > kMostFramesAhead;
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

  bool conflict(const SceneChange& a, const SceneChange& b) const {
    return a.from_seconds < b.to_seconds + options_.shortest_scene &&
           b.from_seconds < a.to_seconds + options_.shortest_scene;
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
