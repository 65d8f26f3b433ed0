// BERT's word pieces, lower case, with the same ids as transformers' BertTokenizerFast.
#include <algorithm>

#include "preprocess/tokenizer_parts.h"
#include "preprocess/tokenizer_text.h"

namespace image_engine::preprocess {
namespace {

constexpr std::size_t kLongestWord = 100;  // characters; a longer one is unknown
constexpr std::string_view kInside = "##";
constexpr std::string_view kUnknown = "[UNK]", kWordBegin = "[CLS]", kWordEnd = "[SEP]", kWordPadding = "[PAD]",
                           kMask = "[MASK]";

struct Range {
  char32_t first = 0, last = 0;
};
// Ideographs, each of which is a word. The sixth range starts at 2B820 in the code of BERT's paper; here as in its
// reference.
constexpr Range kIdeographs[] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
                                 {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};

bool is_ideograph(char32_t character) {
  return std::ranges::any_of(kIdeographs,
                             [&](Range range) { return range.first <= character && character <= range.last; });
}

bool is_sign(char32_t character) {
  if (character < 0x80) return character > ' ' && character < 0x7F && !is_letter(character) && !is_number(character);
  return is_punctuation(character);
}

bool is_dropped(char32_t character) {
  if (character == '\t' || character == '\n' || character == '\r') return false;
  return character == 0 || character == 0xFFFD || is_other(character);
}

std::string cleaned(std::string_view text) {
  std::string clean;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t character = next_character(text, at);
    if (is_dropped(character)) continue;
    if (is_ideograph(character)) {
      clean.push_back(' ');
      append_character(clean, character);
      clean.push_back(' ');
    } else {
      append_character(clean, is_space(character) ? U' ' : character);
    }
  }
  return clean;
}

std::string without_accents(std::string_view text) {
  const std::string apart = decomposed(text);
  std::string plain;
  for (std::size_t at = 0; at < apart.size();) {
    const char32_t character = next_character(apart, at);
    if (!is_nonspacing_mark(character)) append_character(plain, character);
  }
  return plain;
}

class WordPieceTokenizer final : public FramedTokenizer {
 public:
  WordPieceTokenizer(Frame frame, Vocabulary vocabulary, std::uint32_t unknown)
      : FramedTokenizer(std::move(frame)), vocabulary_(std::move(vocabulary)), unknown_(unknown) {}

 private:
  void append(std::string_view text, std::size_t most, std::vector<std::int64_t>& ids) const override {
    const std::string normal = lower_case(without_accents(cleaned(text)));
    std::size_t begin = 0;
    for (std::size_t at = 0; at < normal.size() && ids.size() < most;) {
      const std::size_t start = at;
      const char32_t character = next_character(normal, at);
      const bool sign = is_sign(character);
      if (!sign && !is_space(character)) continue;
      append_word(std::string_view(normal).substr(begin, start - begin), ids);
      if (sign) append_word(std::string_view(normal).substr(start, at - start), ids);
      begin = at;
    }
    if (ids.size() < most) append_word(std::string_view(normal).substr(begin), ids);
  }

  // Matches the longest known piece from the left; a word with an unmatched part is unknown as a whole.
  void append_word(std::string_view word, std::vector<std::int64_t>& ids) const {
    if (word.empty()) return;
    std::vector<std::size_t> ends;
    for (std::size_t at = 0; at < word.size(); ends.push_back(at)) next_character(word, at);
    std::vector<std::int64_t> pieces;
    std::size_t begin = 0;
    while (begin < word.size() && ends.size() <= kLongestWord) {
      std::optional<std::uint32_t> piece;
      for (auto end = ends.rbegin(); end != ends.rend() && *end > begin; ++end) {
        piece = find(vocabulary_, std::string(begin == 0 ? "" : kInside).append(word.substr(begin, *end - begin)));
        if (!piece) continue;
        begin = *end;
        break;
      }
      if (!piece) break;
      pieces.push_back(*piece);
    }
    if (begin < word.size()) pieces.assign(1, unknown_);
    ids.insert(ids.end(), pieces.begin(), pieces.end());
  }

  Vocabulary vocabulary_;
  std::uint32_t unknown_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_wordpiece(std::string_view text) {
  const auto lines = lines_of(text, kMostTokens + 1);
  if (lines.size() > kMostTokens) return fail(ErrorCode::kTooLarge, "has more than a million tokens");
  Vocabulary vocabulary;
  vocabulary.reserve(lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i)
    vocabulary.insert_or_assign(std::string(lines[i]), static_cast<std::uint32_t>(i));
  for (const std::string_view needed : {kUnknown, kWordBegin, kWordEnd, kWordPadding})
    if (!vocabulary.contains(needed)) return fail(ErrorCode::kCorrupt, "lacks the token " + std::string(needed));

  FramedTokenizer::Frame frame;
  frame.begin = *find(vocabulary, kWordBegin), frame.end = *find(vocabulary, kWordEnd);
  frame.padding = *find(vocabulary, kWordPadding), frame.size = lines.size();
  std::vector<std::pair<std::string, std::uint32_t>> whole;
  for (const std::string_view token : {kUnknown, kWordBegin, kWordEnd, kWordPadding, kMask})
    if (const auto id = find(vocabulary, token)) whole.emplace_back(token, *id);
  IE_TRY(frame.whole, WholeTokens::create(std::move(whole)));
  const std::uint32_t unknown = *find(vocabulary, kUnknown);
  return std::make_unique<WordPieceTokenizer>(std::move(frame), std::move(vocabulary), unknown);
}

}  // namespace image_engine::preprocess
