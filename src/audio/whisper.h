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
  double language_probability = 1;
  double no_speech = 0;             // probability that nobody speaks
  double mean_log_probability = 0;  // of the tokens, natural logarithm
  bool repeats = false;             // it ended in a loop, which was cut
  std::vector<SpokenWord> words;    // seconds from the window's start
};

// run() is not thread-safe.
class Whisper {
 public:
  // The graphs of a model in the layout of sherpa-onnx: `encoder` mel [N, mels, T] → cross keys and values
  // [layers, N, T/2, width]; `decoder` tokens [N, n], caches of keys and values [layers, N, length or any, width], those
  // of the encoder, offset [1] → logits [N, n, vocabulary], the caches, and cross attention [N, heads, n, T/2] for the
  // words' times. Without the last output words share the window's time. `tokens`: the text of tokens.txt. kCorrupt:
  // other graphs.
  static Result<Whisper> create(std::shared_ptr<const infer::Session> encoder,
                                std::shared_ptr<const infer::Session> decoder, std::string_view tokens);

  // kInvalidArgument: the model does not know the language, or cannot translate.
  [[nodiscard]] Status check(const WhisperOptions& options) const;
  [[nodiscard]] const WhisperTokens& tokens() const { return tokens_; }

  // Windows of at most kMostWindowSeconds of samples at 16 kHz. Errors: those of the sessions.
  Result<std::vector<Heard>> run(std::span<const std::span<const float>> windows, const WhisperOptions& options) const;

 private:
  struct Row;
  Whisper() = default;
  Result<std::vector<Tensor>> encode(std::span<const std::span<const float>> windows, std::size_t frames) const;
  Result<std::vector<Tensor>> decode(std::vector<Tensor>& state, std::span<const TokenId> tokens, std::size_t rows,
                                     std::size_t offset) const;
  Status detect(std::span<const float> logits, Row& row, const WhisperOptions& options) const;
  [[nodiscard]] TokenId choose(std::span<const float> logits, Row& row) const;
  void keep_attention(const Tensor& attention, std::vector<Row>& rows) const;
  [[nodiscard]] Heard heard(Row& row, double seconds) const;

  std::shared_ptr<const infer::Session> encoder_, decoder_;
  WhisperTokens tokens_;
  std::size_t mels_ = 80;
  std::size_t layers_ = 0, cache_ = 0, width_ = 0;  // of the decoder's caches
  bool has_attention_ = false;
};

}  // namespace image_engine::audio
