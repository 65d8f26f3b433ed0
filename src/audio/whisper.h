// Speech to words with a Whisper model (Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision").
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "audio/whisper_tokens.h"
#include "audio/word_times.h"
#include "core/result.h"
#include "infer/session.h"
#include "types/transcript.h"

namespace image_engine::audio {

// The most that the model hears at once.
inline constexpr double kMostWindowSeconds = 29;

struct WhisperOptions {
  std::string language;    // ISO 639; empty: detected
  bool translate = false;  // to English
};

// What was heard in a window.
struct Heard {
  std::string language;
  double language_probability = 1;  // below 1: a guess from this window
  double no_speech = 0;             // probability that nobody speaks
  double mean_log_probability = 0;  // of the tokens, natural logarithm
  bool repeats = false;             // it ended in a loop, which was cut
  std::vector<SpokenWord> words;    // seconds from the window's start
};

// Thread-safe.
class Whisper {
 public:
  // The graphs of a model, their inputs and outputs in the order of sherpa-onnx: `encoder` mel [1, mels, T] → cross
  // keys and values of any layout; `decoder` tokens [1, n], caches of keys and values [layers, 1, length or any,
  // width], the two of the encoder, offset [1] → logits [1, n, vocabulary], the caches, and cross attention [1, heads,
  // n, T/2] for the words' times. Without the last one words share the window's time. `tokens`: the text of tokens.txt.
  // kCorrupt: other graphs.
  static Result<Whisper> create(std::shared_ptr<const infer::Session> encoder,
                                std::shared_ptr<const infer::Session> decoder, std::string_view tokens);

  // kInvalidArgument: the model does not know the language, or cannot translate.
  [[nodiscard]] Status check(const WhisperOptions& options) const;
  [[nodiscard]] const WhisperTokens& tokens() const { return tokens_; }

  // A window of at most kMostWindowSeconds of samples at 16 kHz. Errors: those of the sessions.
  [[nodiscard]] Result<Heard> run(std::span<const float> window, const WhisperOptions& options) const;

 private:
  struct Decoding;
  struct Beam;
  struct Candidate {
    TokenId id = 0;
    float logit = 0;
    double log_probability = 0, sum = 0;  // its own, and of the text that ends with it
  };
  Whisper() = default;
  [[nodiscard]] std::vector<Candidate> likeliest(const Beam& beam) const;
  Status search(Decoding& decoding, Beam start, std::size_t offset) const;
  [[nodiscard]] Result<std::span<const float>> step(Decoding& decoding, std::span<const TokenId> tokens) const;
  Status detect(std::span<const float> logits, Decoding& decoding, const WhisperOptions& options) const;
  [[nodiscard]] TokenId choose(std::span<const float> logits, Decoding& decoding) const;
  [[nodiscard]] std::vector<std::size_t> frames_of(const Decoding& decoding) const;
  [[nodiscard]] Heard heard(const Decoding& decoding, double seconds) const;

  std::shared_ptr<const infer::Session> encoder_, decoder_;
  WhisperTokens tokens_;
  std::size_t mels_ = 80;
  std::vector<std::int64_t> cache_;  // the shape of the decoder's caches at the start
  bool has_attention_ = false;
};

}  // namespace image_engine::audio
