// Building blocks of tokenizers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/result.h"
#include "preprocess/tokenizer.h"

namespace image_engine::preprocess {

inline constexpr std::size_t kLargestVocabulary = std::size_t{64} << 20;  // bytes, also after gzip decompression
inline constexpr std::size_t kMostTokens = std::size_t{1} << 20;          // Gemma has 256,000
inline constexpr std::size_t kMostMerges = std::size_t{1} << 21;          // Gemma has 580,604

// The file's text, decompressed if it is gzip. Errors do not name the file.
Result<std::string> read_vocabulary(const std::string& path);

// The first lines of a text, each without its "\n" or "\r\n"; the last needs none.
std::vector<std::string_view> lines_of(std::string_view text, std::size_t most);

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using Vocabulary = std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>>;

std::optional<std::uint32_t> find(const Vocabulary& vocabulary, std::string_view token);

// The merges of byte-pair encoding (Sennrich et al., 2016), lowest rank first.
class Merges {
 public:
  struct Merge {
    std::uint32_t left = 0, right = 0, rank = 0, merged = 0;
  };
  Merges() = default;
  // Of two merges with the same pair the later one counts.
  explicit Merges(std::vector<Merge> merges);

  // Repeatedly merges the neighbours of lowest rank, the leftmost first, until none is left. O(n log n) in the number
  // of symbols.
  void apply(std::vector<std::uint32_t>& symbols) const;

 private:
  [[nodiscard]] const Merge* find(std::uint32_t left, std::uint32_t right) const;
  std::vector<Merge> merges_;  // by pair
};

// Tokens that are matched in the raw text before any other splitting: the leftmost first, the longest at a position.
class WholeTokens {
 public:
  static constexpr std::size_t kLongest = 256;  // bytes; create() rejects longer and empty ones: kCorrupt
  static Result<WholeTokens> create(std::vector<std::pair<std::string, std::uint32_t>> tokens);

  struct Piece {
    std::string_view text;
    std::optional<std::uint32_t> token;  // none: the text between tokens
  };
  [[nodiscard]] std::vector<Piece> split(std::string_view text) const;

 private:
  [[nodiscard]] const std::pair<std::string, std::uint32_t>* longest_at(std::string_view text) const;
  std::vector<std::pair<std::string, std::uint32_t>> tokens_;  // by bytes
};

// Shared by all kinds: begin and end tokens, whole tokens, truncation.
class FramedTokenizer : public Tokenizer {
 public:
  struct Frame {
    std::optional<std::uint32_t> begin, end;
    std::uint32_t padding = 0;
    std::size_t size = 0;
    WholeTokens whole;
  };
  explicit FramedTokenizer(Frame frame) : frame_(std::move(frame)) {}

  [[nodiscard]] std::vector<std::int64_t> encode(std::string_view text, std::size_t most) const final;
  [[nodiscard]] std::int64_t padding() const final { return frame_.padding; }
  [[nodiscard]] std::size_t size() const final { return frame_.size; }

 protected:
  // Appends the ids of text without whole tokens (valid UTF-8); may stop once there are `most`.
  virtual void append(std::string_view text, std::size_t most, std::vector<std::int64_t>& ids) const = 0;

 private:
  Frame frame_;
};

// The kinds. `text` is the file's content, which need not be UTF-8. Errors do not name the file.
Result<std::unique_ptr<Tokenizer>> create_clip_bpe(std::string_view text);
Result<std::unique_ptr<Tokenizer>> create_wordpiece(std::string_view text);
Result<std::unique_ptr<Tokenizer>> create_tokenizer_json(std::string_view text);
Result<std::unique_ptr<Tokenizer>> create_siglip2_json(std::string_view text);

}  // namespace image_engine::preprocess
