#include "video/model_detector.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "video/frame_signature.h"

namespace image_engine::video {
namespace {

// Frames of a window that only surround those that are scored.
constexpr std::size_t kWindowEdge = 25, kWindowStep = kWindowFrames - 2 * kWindowEdge;
constexpr float kLeastScore = 0.5f;  // the model's own: from here on a frame is the middle of a change, or within one
constexpr std::size_t kLongestCut = 2;    // frames within a change
constexpr std::size_t kLongestGap = 8;    // frames between parts of one change: a fade is often two
constexpr std::size_t kLongestRun = 100;  // frames of a change; of a longer one, no window has both ends
constexpr float kOneColour = 3;           // mean distance from the mean luma

// A small frame is 4 / 3 of the model's in both directions: three of its pixels are four, by these quarters of each.
constexpr int kSmallGroup = 4, kModelGroup = 3;
constexpr int kQuarters[kModelGroup][kSmallGroup] = {{3, 1, 0, 0}, {0, 2, 2, 0}, {0, 0, 1, 3}};
static_assert(kSmallWidth * kModelGroup == kModelWidth * kSmallGroup);
static_assert(kSmallHeight * kModelGroup == kModelHeight * kSmallGroup);

struct SeenFrame {
  std::int64_t index = 0;
  double seconds = 0;
  bool has_one_colour = false;
  float middle = 0, within = 0;  // once it is scored
  [[nodiscard]] bool is_of_change() const { return middle >= kLeastScore || within >= kLeastScore; }
};

class ModelDetector final : public SceneDetector {
 public:
  ModelDetector(ScoreWindow score, const SceneDetectorOptions& options) : score_(std::move(score)), options_(options) {}

  Result<std::vector<SceneChange>> add(const SmallFrame& frame) override {
    if (frame.rgb.size() != std::size_t{kSmallWidth} * kSmallHeight * 3) return std::vector<SceneChange>{};
    const auto reduced = model_frame(frame.rgb);
    if (window_.empty())
      for (std::size_t i = 0; i < kWindowEdge; ++i) hold(reduced);
    hold(reduced);
    if (!newest_seconds_ || frame.seconds > *newest_seconds_) newest_seconds_ = frame.seconds;
    waiting_.push_back({frame.index, *newest_seconds_, sign(frame).overall.deviation < kOneColour});
    if (is_full()) IE_CHECK(score_window());
    return std::exchange(certain_, {});
  }

  Result<std::vector<SceneChange>> finish() override {
    while (!waiting_.empty()) {
      const std::vector<std::uint8_t> last(window_.end() - std::ptrdiff_t{kModelFrameBytes}, window_.end());
      while (!is_full()) hold(last);
      IE_CHECK(score_window());
    }
    if (!run_.empty()) end_run();
    if (newest_seconds_) release_before(*newest_seconds_);
    std::vector<SceneChange> changes = std::move(certain_);
    *this = ModelDetector(std::move(score_), options_);
    return changes;
  }

  [[nodiscard]] double delay(double spacing) const override {
    constexpr double kFrames = kWindowFrames - kWindowEdge + 2 * kLongestRun;  // its own run, and one that follows
    return options_.shortest_scene + spacing * kFrames;
  }

 private:
  void hold(std::span<const std::uint8_t> reduced) { window_.insert(window_.end(), reduced.begin(), reduced.end()); }
  [[nodiscard]] bool is_full() const { return window_.size() == kWindowFrames * kModelFrameBytes; }

  Status score_window() {
    IE_TRY(const WindowScores scores, score_(window_));
    window_.erase(window_.begin(), window_.begin() + std::ptrdiff_t{kWindowStep * kModelFrameBytes});
    for (std::size_t i = kWindowEdge; i < kWindowEdge + kWindowStep && !waiting_.empty(); ++i) {
      SeenFrame frame = waiting_.front();
      waiting_.pop_front();
      frame.middle = scores.middle[i] * options_.sensitivity;
      frame.within = scores.within[i] * options_.sensitivity;
      see(frame);
    }
    return {};
  }

  void see(const SeenFrame& frame) {
    if (!first_seconds_) first_seconds_ = frame.seconds, before_ = frame;
    if (run_.empty() && !frame.is_of_change()) {
      before_ = frame;
    } else {
      run_.push_back(frame);
      quiet_ = frame.is_of_change() ? 0 : quiet_ + 1;
      if (quiet_ > kLongestGap || run_.size() > kLongestRun) end_run();
    }
    release_before(frame.seconds);
  }

  void end_run() {
    const SeenFrame last = run_.back(), after = quiet_ > 0 ? run_[run_.size() - quiet_] : last;
    run_.resize(run_.size() - quiet_);
    const auto within = std::ranges::count_if(run_, [](const auto& frame) { return frame.within >= kLeastScore; });
    if (within > std::ptrdiff_t{kLongestCut})
      propose_gradual(after);
    else
      propose_cut(after);
    before_ = last;
    run_.clear();
    quiet_ = 0;
  }

  // The middle of a cut is the old scene's last frame.
  void propose_cut(const SeenFrame& after) {
    const auto middle = std::ranges::max_element(run_, {}, &SeenFrame::middle);
    if (middle->middle >= kLeastScore)
      propose(ChangeKind::kCut, *middle, middle + 1 == run_.end() ? after : *(middle + 1), middle->middle);
  }

  // Where the middle of a long change is unclear, several frames share what is one frame's else.
  void propose_gradual(const SeenFrame& after) {
    float score = 0;
    for (const SeenFrame& frame : run_) score += frame.middle;
    const bool is_fade = std::ranges::any_of(run_, &SeenFrame::has_one_colour);
    if (score >= kLeastScore) propose(is_fade ? ChangeKind::kFade : ChangeKind::kDissolve, before_, after, score);
  }

  // Of two with too short a scene between them, the surer one is kept.
  void propose(ChangeKind kind, const SeenFrame& from, const SeenFrame& to, float score) {
    const SceneChange found{kind, from.index, to.index, from.seconds, to.seconds, std::min(score, 1.0f)};
    if (found.from_seconds - *first_seconds_ < options_.shortest_scene) return;
    if (pending_ && found.from_seconds < pending_->to_seconds + options_.shortest_scene) {
      if (found.score > pending_->score) pending_ = found;
      return;
    }
    release();
    pending_ = found;
  }

  void release() {
    if (pending_) certain_.push_back(*pending_);
    pending_.reset();
  }
  // Once its new scene has lasted long enough.
  void release_before(double seconds) {
    if (pending_ && run_.empty() && seconds - pending_->to_seconds >= options_.shortest_scene) release();
  }

  ScoreWindow score_;
  SceneDetectorOptions options_;
  std::vector<std::uint8_t> window_;  // the last frames, at most kWindowFrames
  std::deque<SeenFrame> waiting_;     // not scored yet
  std::vector<SeenFrame> run_;        // from the first of a change on
  std::size_t quiet_ = 0;             // how many of them, from the last one backwards, are of none
  SeenFrame before_;                  // the last one before them
  std::optional<double> first_seconds_, newest_seconds_;
  std::optional<SceneChange> pending_;
  std::vector<SceneChange> certain_;
};

}  // namespace

std::unique_ptr<SceneDetector> make_model_detector(ScoreWindow score, const SceneDetectorOptions& options) {
  return std::make_unique<ModelDetector>(std::move(score), options);
}

std::array<std::uint8_t, kModelFrameBytes> model_frame(std::span<const std::uint8_t> rgb) {
  constexpr int kSixteenths = kSmallGroup * kSmallGroup;
  std::array<std::uint8_t, kModelFrameBytes> frame;
  const auto small = [&](std::size_t x, std::size_t y, std::size_t c) {
    return int{rgb[(y * kSmallWidth + x) * 3 + c]};
  };
  for (std::size_t y = 0; y < kModelHeight; ++y)
    for (std::size_t x = 0; x < kModelWidth; ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        int sum = kSixteenths / 2;
        for (std::size_t j = 0; j < kSmallGroup; ++j)
          for (std::size_t i = 0; i < kSmallGroup; ++i)
            sum += kQuarters[y % kModelGroup][j] * kQuarters[x % kModelGroup][i] *
                   small(x / kModelGroup * kSmallGroup + i, y / kModelGroup * kSmallGroup + j, c);
        frame[(y * kModelWidth + x) * 3 + c] = static_cast<std::uint8_t>(sum / kSixteenths);
      }
  return frame;
}

}  // namespace image_engine::video
