#include "audio/voice_activity.h"

#include <algorithm>
#include <utility>

namespace image_engine::audio {
namespace {

// Defaults of get_speech_timestamps() in silero-vad 6.2.3.
constexpr float kSpeechBegins = 0.5F, kSpeechEnds = 0.35F;
constexpr std::uint64_t kLeastSpeech = kSampleRate / 4, kLeastPause = kSampleRate / 10,
                        kExtension = kSampleRate * 3 / 100;

constexpr std::size_t kContext = 64;       // samples before a frame that the model sees with it
constexpr std::size_t kFramesOfRun = 256;  // of a run: 8 s
constexpr std::int64_t kState = 128;

}  // namespace

void SpeechRanges::add(float probability) {
  const std::uint64_t at = position();
  ++frames_;
  if (probability >= kSpeechBegins) {
    pause_.reset();
    if (!start_) start_ = at;
    return;
  }
  if (!start_ || (probability >= kSpeechEnds && !pause_)) return;
  if (probability >= kSpeechEnds) return;
  if (!pause_) pause_ = at;
  if (at - *pause_ >= kLeastPause) close(*pause_, position());
}

void SpeechRanges::close(std::uint64_t end, std::uint64_t samples) {
  if (end - *start_ > kLeastSpeech)
    closed_.push_back({*start_ - std::min(*start_, kExtension), std::min(end + kExtension, samples)});
  start_.reset();
  pause_.reset();
}

void SpeechRanges::finish(std::uint64_t samples) {
  if (start_) close(samples, samples);
}

std::vector<SampleRange> SpeechRanges::take() { return std::exchange(closed_, {}); }

std::optional<std::uint64_t> SpeechRanges::open() const {
  if (!start_) return std::nullopt;
  return *start_ - std::min(*start_, kExtension);
}

VoiceActivity::VoiceActivity(std::shared_ptr<const infer::Session> session)
    : session_(std::move(session)),
      hidden_(Tensor::zeros(ElementType::kFloat32, {1, 1, kState})),
      cell_(hidden_),
      pending_(kContext) {}

Result<VoiceActivity> VoiceActivity::create(std::shared_ptr<const infer::Session> session) {
  const auto& inputs = session->inputs();
  const std::vector<std::int64_t> state = {1, 1, kState};
  const bool fits = inputs.size() == 3 && inputs[0].shape.size() == 2 &&
                    inputs[0].shape[1] == std::int64_t{kContext + SpeechRanges::kFrame} && inputs[1].shape == state &&
                    inputs[2].shape == state && session->outputs().size() == 3;
  if (!fits)
    return fail(ErrorCode::kCorrupt,
                "its graph is not that of Silero VAD for sequences: frames [n, 576] and two states [1, 1, 128]");
  return VoiceActivity(std::move(session));
}

Result<std::vector<float>> VoiceActivity::add(std::span<const float> samples) {
  pending_.insert(pending_.end(), samples.begin(), samples.end());
  std::vector<float> probabilities;
  while (pending_.size() >= kContext + SpeechRanges::kFrame) {
    const std::size_t frames = std::min((pending_.size() - kContext) / SpeechRanges::kFrame, kFramesOfRun);
    IE_TRY(const std::vector<float> some, run(frames));
    probabilities.insert(probabilities.end(), some.begin(), some.end());
  }
  return probabilities;
}

Result<std::vector<float>> VoiceActivity::finish() {
  if (pending_.size() == kContext) return std::vector<float>{};
  pending_.resize(kContext + SpeechRanges::kFrame);
  return run(1);
}

Result<std::vector<float>> VoiceActivity::run(std::size_t frames) {
  constexpr std::size_t kRow = kContext + SpeechRanges::kFrame;
  std::vector<Tensor> inputs(3);
  inputs[0] =
      Tensor::zeros(ElementType::kFloat32, {static_cast<std::int64_t>(frames), static_cast<std::int64_t>(kRow)});
  const std::span<float> rows = inputs[0].as<float>();
  for (std::size_t i = 0; i < frames; ++i)
    std::copy_n(pending_.begin() + static_cast<std::ptrdiff_t>(i * SpeechRanges::kFrame), kRow,
                rows.begin() + static_cast<std::ptrdiff_t>(i * kRow));
  inputs[1] = std::move(hidden_);
  inputs[2] = std::move(cell_);
  IE_TRY(std::vector<Tensor> outputs, session_->run(inputs));
  if (outputs[0].count() != frames || outputs[1].count() != kState || outputs[2].count() != kState)
    return fail(ErrorCode::kCorrupt, "the model of voice activity did not give one probability a frame");
  hidden_ = std::move(outputs[1]);
  cell_ = std::move(outputs[2]);
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(frames * SpeechRanges::kFrame));
  const std::span<const float> probabilities = std::as_const(outputs[0]).as<float>();
  return std::vector<float>(probabilities.begin(), probabilities.end());
}

}  // namespace image_engine::audio
