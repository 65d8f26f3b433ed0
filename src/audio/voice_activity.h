// Where somebody speaks: Silero VAD.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "audio/features.h"
#include "core/result.h"
#include "infer/session.h"

namespace image_engine::audio {

// Samples [begin, end) of a stream.
struct SampleRange {
  std::uint64_t begin = 0, end = 0;
  bool operator==(const SampleRange&) const = default;
};

// From the probability that each frame holds speech to the ranges in which somebody speaks, with the defaults of
// Silero's get_speech_timestamps(): speech begins at 0.5 and ends below 0.35 for 100 ms, ranges of 250 ms and less are
// noise, and each range is extended by 30 ms at both ends. Not thread-safe.
class SpeechRanges {
 public:
  static constexpr std::size_t kFrame = 512;  // samples

  void add(float probability);
  // `samples`: the length of the whole stream. Closes the range at hand.
  void finish(std::uint64_t samples);

  // Those that ended since the last call.
  [[nodiscard]] std::vector<SampleRange> take();
  // Where speech that has not ended began, with its extension.
  [[nodiscard]] std::optional<std::uint64_t> open() const;
  [[nodiscard]] std::uint64_t position() const { return frames_ * kFrame; }

 private:
  void close(std::uint64_t end, std::uint64_t samples);

  std::uint64_t frames_ = 0;
  std::optional<std::uint64_t> start_;  // of the speech at hand
  std::optional<std::uint64_t> pause_;  // where it may have ended
  std::vector<SampleRange> closed_;
};

// Not thread-safe; several can share a session.
class VoiceActivity {
 public:
  // `session`: silero_vad_16k_sequence.onnx, which takes frames [n, 576] in order (each with the 64 samples before it)
  // and its LSTM's state. kCorrupt: another graph.
  static Result<VoiceActivity> create(std::shared_ptr<const infer::Session> session);

  // Samples of 16 kHz that follow those of the last call; any number. Returns the probability of each frame of 512
  // samples that is complete.
  Result<std::vector<float>> add(std::span<const float> samples);
  // Of the last frame, where it is not complete.
  Result<std::vector<float>> finish();

 private:
  explicit VoiceActivity(std::shared_ptr<const infer::Session> session);
  Result<std::vector<float>> run(std::size_t frames);

  std::shared_ptr<const infer::Session> session_;
  Tensor hidden_, cell_;
  std::vector<float> pending_;  // begins with the 64 samples before the next frame
};

}  // namespace image_engine::audio
