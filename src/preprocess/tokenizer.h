// Converts text to a model's input: ids of its vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::preprocess {

// A vocabulary and the rules to split text by it. Thread-safe. Any text is valid: invalid UTF-8 counts as U+FFFD, an
// empty text has only the begin and end tokens. Text beyond 64 KiB is ignored.
class Tokenizer {
 public:
  // `kind`: "clip-bpe" (Radford et al., CLIP, 2021; `vocabulary` has the merges, one pair per line, as text or gzip),
  // "wordpiece" (Devlin et al., BERT, 2018, lower case; one token per line), "tokenizer-json" (byte-fallback BPE as in
  // Gemma; the tokenizers library's JSON), "siglip2-json" (the same file as used by SigLIP 2: lower-case text, then
  // <eos>). kInvalidArgument for an unknown kind; kNotFound, kCorrupt, kTooLarge (64 MiB), kUnsupported (JSON of
  // another kind) name the file and the problem.
  static Result<std::unique_ptr<Tokenizer>> create(std::string_view kind, const std::string& vocabulary);
  virtual ~Tokenizer() = default;

  // With begin and end tokens, truncated to `most` (at least 2) ids; the last is still the end token. Not padded.
  [[nodiscard]] virtual std::vector<std::int64_t> encode(std::string_view text, std::size_t most) const = 0;
  // The id that pads to a fixed length.
  [[nodiscard]] virtual std::int64_t padding() const = 0;
  [[nodiscard]] virtual std::size_t size() const = 0;  // ids are below this
};

}  // namespace image_engine::preprocess
