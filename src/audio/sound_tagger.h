// Spans of named sounds ("Dog", "Applause") in a recording, by a model of task `audio-tagging` that a spec describes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audio/log_mel.h"
#include "audio/sound_finder.h"
#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "types/tensor.h"

namespace image_engine::audio {

// How a model hears, in samples of 16 kHz and steps: the least time that separates scores.
struct TaggingPlan {
  std::string model;
  std::size_t labels = 0;          // scores in a row
  std::vector<std::size_t> kept;   // of these
  std::vector<std::string> names;  // of `kept`
  bool doubles_rate = false;       // to 32 kHz
  std::int64_t window = 0, hop = 0;
  std::int64_t hop_steps = 1, window_steps = 1;
  bool has_rows = false;  // a row of scores a step; else one a window
  bool has_logits = false;
  float threshold = 0;
  std::int64_t least_sound = 1, most_pause = 0;  // steps of a span; steps below the threshold within one
  std::optional<LogMel> features;                // none: it takes samples
  std::vector<std::int64_t> input;               // the shape of the graph's input
  std::vector<std::string> outputs;              // the name of the graph's output

  [[nodiscard]] double step_seconds() const;
};
// By a spec that check_spec() lets through. Options: `threshold` (0.3), `least_seconds` (0), `pause_seconds` (0).
// `elsewhere`: names that another model finds, in any case, which are not kept. kInvalidArgument for options out of
// range; kCorrupt where the graph's input and output are not those of the spec; both name the model.
Result<TaggingPlan> tagging_plan(const models::Spec& spec, const infer::Session& session,
                                 const std::vector<std::string>& elsewhere = {});

// A step's score is the mean of the windows that hear it; a span is of steps at or above the threshold. After the end
// of the recording the model hears silence. The session may be shared.
class SoundTagger final : public SoundFinder {
 public:
  SoundTagger(std::shared_ptr<const infer::Session> session, std::shared_ptr<const TaggingPlan> plan);

  Result<std::vector<SoundSpan>> add(std::span<const float> samples) override;
  Result<std::vector<SoundSpan>> finish() override;
  [[nodiscard]] std::string state() const override;
  Result<double> resume(const std::string& state) override;

  // What the model gets for the window from that sample on: of `samples` that begin at `from`, zeros around them.
  static Tensor input_of(const TaggingPlan& plan, std::span<const float> samples, std::int64_t from,
                         std::int64_t window);

 private:
  struct Step {
    std::vector<float> sums;  // of the kept scores
    std::int64_t windows = 0;
  };
  struct Open {
    std::int64_t from = 0, to = 0;  // steps
    double sum = 0;
    std::int64_t loud = 0;  // steps that were summed
  };

  Status hear();
  void spread(std::span<const float> scores, std::int64_t rows);
  void settle(std::int64_t end, std::vector<SoundSpan>& found);
  void score(std::size_t index, float score, std::vector<SoundSpan>& found);
  void close(std::size_t index, std::vector<SoundSpan>& found);
  [[nodiscard]] std::int64_t heard_to() const;

  std::shared_ptr<const infer::Session> session_;
  std::shared_ptr<const TaggingPlan> plan_;
  std::vector<std::optional<Open>> open_;  // of each kept label
  std::deque<Step> steps_;                 // from next_step_ on
  std::int64_t next_step_ = 0;             // the first that is not settled
  std::int64_t next_window_ = 0;
  std::int64_t heard_steps_ = 0;  // the end of the last window's
  std::vector<float> samples_;    // from first_sample_ on
  std::int64_t first_sample_ = 0;
};

}  // namespace image_engine::audio
