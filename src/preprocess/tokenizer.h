// How text becomes a model's input: ids of its vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine::preprocess {

// A vocabulary and the rules that cut text by it. Thread-safe. Every text has ids: bytes that are not UTF-8 count as
// U+FFFD, an empty text is the marks of its begin and end. Of a text over 64 KiB that much is read.
class Tokenizer {
 public:
  // `kind`: "clip-bpe" (Radford et al., CLIP, 2021; `vocabulary` is the merges, one pair a line, as text or gzip),
  // "wordpiece" (Devlin et al., BERT, 2018, lower case; a token a line), "tokenizer-json" (byte-fallback BPE of Gemma's
  // kind; the tokenizers library's JSON), "siglip2-json" (the same file as SigLIP 2 takes it: text in lower case, <eos>
  // behind it). kInvalidArgument for another kind; kNotFound, kCorrupt, kTooLarge (64 MiB), kUnsupported (JSON of
  // another kind) name the file and what is wrong with it.
  static Result<std::unique_ptr<Tokenizer>> create(std::string_view kind, const std::string& vocabulary);
  virtual ~Tokenizer() = default;

  // With the marks of begin and end, cut to `most` (at least 2) ids of which the last stays the mark of the end.
  // Not padded.
  [[nodiscard]] virtual std::vector<std::int64_t> encode(std::string_view text, std::size_t most) const = 0;
  // What fills a fixed length behind them.
  [[nodiscard]] virtual std::int64_t padding() const = 0;
  [[nodiscard]] virtual std::size_t size() const = 0;  // ids are below this
};

}  // namespace image_engine::preprocess
