// The vocabulary of a Whisper model, and which of its tokens mean what.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "infer/session.h"

namespace image_engine::audio {

using TokenId = std::int64_t;

// As OpenAI's whisper/tokenizer.py has them. Thread-safe once made.
struct WhisperTokens {
  TokenId sot = 0, eot = 0, translate = 0, transcribe = 0, no_timestamps = 0, no_speech = 0;
  bool is_multilingual = false;
  std::map<std::string, TokenId> languages;  // by ISO 639 code; empty unless multilingual
  std::vector<std::string> texts;            // bytes of text tokens; a character may take several tokens
  std::vector<std::uint8_t> suppressed;      // by id, 1: special tokens, which are never text
  TokenId blank = 0;                         // a space, which no speech begins with

  // `encoder`: its metadata has the special tokens, as sherpa-onnx's export writes them. `vocabulary`: tokens.txt, each
  // line base64 of the token's bytes and its id. kCorrupt names what is missing or damaged.
  static Result<WhisperTokens> create(const infer::Session& encoder, std::string_view vocabulary);

  [[nodiscard]] std::size_t size() const { return suppressed.size(); }
  // Empty for special tokens.
  [[nodiscard]] std::string_view text(TokenId id) const;
};

// Whether words of this language are separated by spaces.
bool has_spaces(std::string_view language);

}  // namespace image_engine::audio
