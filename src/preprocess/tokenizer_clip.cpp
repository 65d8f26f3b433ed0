// CLIP's byte-level byte-pair encoding, with the same ids as transformers' CLIPTokenizerFast.
#include <array>

#include "core/text.h"
#include "preprocess/tokenizer_parts.h"
#include "preprocess/tokenizer_text.h"

namespace image_engine::preprocess {
namespace {

constexpr std::size_t kMergesUsed = 49152 - 256 - 2;  // the published file has more lines than CLIP has ids
constexpr std::uint32_t kBytes = 256;                 // ids of bytes; the next 256 are bytes at the end of a word
constexpr std::string_view kEndOfWord = "</w>", kBegin = "<|startoftext|>", kEnd = "<|endoftext|>";
constexpr std::string_view kEndings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

bool is_visible(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// The file represents a byte by a visible character: itself in Latin-1, or one from U+0100 on. Ids count the former
// first.
struct ByteNames {
  std::array<std::uint32_t, kBytes> id{};
  Vocabulary by_name;

  ByteNames() {
    std::uint32_t next = 0, unseen = 0;
    for (const bool visible : {true, false})
      for (unsigned byte = 0; byte < kBytes; ++byte) {
        if (is_visible(byte) != visible) continue;
        id[byte] = next++;
        std::string name;
        append_character(name, visible ? byte : kBytes + unseen++);
        by_name.emplace(name, id[byte]);
        by_name.emplace(name.append(kEndOfWord), kBytes + id[byte]);
      }
  }
};

// The kinds of words in CLIP's pattern.
enum class Class : std::uint8_t { kSpace, kLetter, kNumber, kSign };
Class class_of(char32_t character) {
  if (is_space(character)) return Class::kSpace;
  if (is_letter(character)) return Class::kLetter;
  return is_number(character) ? Class::kNumber : Class::kSign;
}

// The bytes of the word that `text` begins with; 0 when that is a space.
std::size_t word_length(std::string_view text) {
  for (const std::string_view ending : kEndings)
    if (text.starts_with(ending)) return ending.size();
  std::size_t length = 0;
  const Class kind = class_of(next_character(text, length));
  if (kind == Class::kSpace) return 0;
  if (kind == Class::kNumber) return length;
  for (std::size_t end = length; end < text.size(); length = end)
    if (class_of(next_character(text, end)) != kind) break;
  return length;
}

class ClipTokenizer final : public FramedTokenizer {
 public:
  ClipTokenizer(Frame frame, const ByteNames& names, Merges merges)
      : FramedTokenizer(std::move(frame)), ids_(names.id), merges_(std::move(merges)) {}

 private:
  void append(std::string_view text, std::size_t most, std::vector<std::int64_t>& ids) const override {
    const std::string lower = lower_case(composed(text));
    std::string_view rest = lower;
    while (!rest.empty() && ids.size() < most) {
      // Marks created by lower-casing are split like signs.
      std::size_t length = 0;
      for (const std::string_view mark : {kBegin, kEnd})
        if (rest.starts_with(mark)) length = mark.size();
      if (length > 0) {
        append_word(rest.substr(0, 2), ids);
        append_word(rest.substr(2, length - 4), ids);
        append_word(rest.substr(length - 2, 2), ids);
      } else if (length = word_length(rest); length > 0) {
        append_word(rest.substr(0, length), ids);
      } else {
        next_character(rest, length);
      }
      rest.remove_prefix(length);
    }
  }

  void append_word(std::string_view word, std::vector<std::int64_t>& ids) const {
    std::vector<std::uint32_t> symbols;
    for (const char byte : word) symbols.push_back(ids_[static_cast<unsigned char>(byte)]);
    symbols.back() += kBytes;
    merges_.apply(symbols);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }

  std::array<std::uint32_t, kBytes> ids_;
  Merges merges_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> create_clip_bpe(std::string_view text) {
  const ByteNames names;
  Vocabulary vocabulary = names.by_name;
  vocabulary.reserve(vocabulary.size() + kMergesUsed);
  std::vector<Merges::Merge> merges;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text, kMergesUsed + 1)) {
    ++number;
    const auto corrupt = [&](const std::string& what) {
      return fail(ErrorCode::kCorrupt, "line " + std::to_string(number) + " " + what);
    };
    if (merges.size() == kMergesUsed) break;
    if (number == 1 && line.find("#version") != line.npos) continue;
    const std::size_t space = line.find(' ');
    if (space == line.npos) return corrupt("is not a pair of tokens");
    const std::string_view left = line.substr(0, space), right = line.substr(space + 1);
    const auto left_id = find(vocabulary, left), right_id = find(vocabulary, right);
    if (!left_id || !right_id) return corrupt("merges a token that is not before it");
    const auto id = static_cast<std::uint32_t>(2 * kBytes + merges.size());
    if (!vocabulary.emplace(std::string(left).append(right), id).second) return corrupt("makes an existing token");
    merges.push_back({*left_id, *right_id, static_cast<std::uint32_t>(merges.size()), id});
  }
  if (merges.empty()) return fail(ErrorCode::kCorrupt, "holds no merges");

  FramedTokenizer::Frame frame;
  const auto begin = static_cast<std::uint32_t>(2 * kBytes + merges.size());
  frame.begin = begin, frame.end = begin + 1, frame.padding = begin + 1, frame.size = begin + 2;
  IE_TRY(frame.whole, WholeTokens::create({{std::string(kBegin), begin}, {std::string(kEnd), begin + 1}}));
  return std::make_unique<ClipTokenizer>(std::move(frame), names, Merges(std::move(merges)));
}

}  // namespace image_engine::preprocess
