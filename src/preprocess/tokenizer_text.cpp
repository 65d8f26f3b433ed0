#include "preprocess/tokenizer_text.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

namespace image_engine::preprocess {
namespace {

constexpr std::uint32_t kOther = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK;

UChar32 code_point(char32_t character) { return static_cast<UChar32>(character); }

bool is_any(char32_t character, std::uint32_t categories) {
  return (U_GET_GC_MASK(code_point(character)) & categories) != 0;
}

// Characters whose category has changed since Unicode 8.
struct Former {
  char32_t character;
  std::uint32_t category;
};
constexpr Former kFormer[] = {{0x166D, U_GC_PO_MASK}, {0x1734, U_GC_MN_MASK}, {0x1885, U_GC_LO_MASK},
                              {0x1886, U_GC_LO_MASK}, {0xA9BD, U_GC_MC_MASK}, {0x111C9, U_GC_PO_MASK}};

bool is_any_of_unicode_8(char32_t character, std::uint32_t categories) {
  const auto* const former = std::ranges::find(kFormer, character, &Former::character);
  if (former != std::end(kFormer)) return (former->category & categories) != 0;
  if (!is_any(character, categories)) return false;
  UVersionInfo age;
  u_charAge(code_point(character), age);
  return age[0] <= 8;
}

// Null only if ICU's data is missing, which is part of its library.
const icu::Normalizer2* normalizer(bool composing) {
  UErrorCode error = U_ZERO_ERROR;
  return composing ? icu::Normalizer2::getNFCInstance(error) : icu::Normalizer2::getNFDInstance(error);
}

struct Ordered {
  char32_t character = 0;
  std::uint8_t combining_class = 0;
};

// The parts of each character, not yet in order.
std::vector<Ordered> parts_of(std::string_view text) {
  const icu::Normalizer2* apart = normalizer(false);
  std::vector<Ordered> parts;
  const auto add = [&](UChar32 part) {
    parts.push_back({static_cast<char32_t>(part), apart == nullptr ? std::uint8_t{0} : apart->getCombiningClass(part)});
  };
  for (std::size_t at = 0; at < text.size();) {
    const UChar32 character = code_point(next_character(text, at));
    icu::UnicodeString mapping;
    if (apart == nullptr || apart->getDecomposition(character, mapping) == 0)
      add(character);
    else
      for (std::int32_t i = 0; i < mapping.length(); i = mapping.moveIndex32(i, 1)) add(mapping.char32At(i));
  }
  return parts;
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char byte) { return static_cast<unsigned char>(byte) < 0x80; });
}

}  // namespace

// Does not use ICU's function: its time is quadratic in the length of a run of marks.
std::string decomposed(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  std::vector<Ordered> parts = parts_of(text);
  const auto starts = [](const Ordered& part) { return part.combining_class == 0; };
  for (auto run = parts.begin(); run != parts.end();) {
    run = std::find_if_not(run, parts.end(), starts);
    const auto end = std::find_if(run, parts.end(), starts);
    std::ranges::stable_sort(run, end, {}, &Ordered::combining_class);
    run = end;
  }
  std::string result;
  for (const Ordered& part : parts) append_character(result, part.character);
  return result;
}

std::string composed(std::string_view text) {
  const icu::Normalizer2* together = normalizer(true);
  if (together == nullptr || is_ascii(text)) return std::string(text);
  const std::string ordered = decomposed(text);
  UErrorCode error = U_ZERO_ERROR;
  std::string result;
  icu::StringByteSink<std::string> sink(&result, static_cast<std::int32_t>(text.size()));
  together->normalizeUTF8(0, {ordered.data(), static_cast<std::int32_t>(ordered.size())}, sink, nullptr, error);
  return U_SUCCESS(error) ? result : std::string(text);
}

std::string lower_case(std::string_view text) {
  constexpr char32_t kDottedCapitalI = 0x130;  // the one character whose lower case is two: i and a dot above
  std::string lower;
  lower.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const char32_t character = next_character(text, at);
    if (character == kDottedCapitalI)
      lower.append("i\xCC\x87");
    else
      append_character(lower, static_cast<char32_t>(u_tolower(code_point(character))));
  }
  return lower;
}

char32_t next_character(std::string_view text, std::size_t& at) {
  UChar32 character = 0;
  U8_NEXT_OR_FFFD(text.data(), at, text.size(), character);
  return static_cast<char32_t>(character);
}

void append_character(std::string& text, char32_t character) {
  char bytes[U8_MAX_LENGTH];
  std::size_t length = 0;
  U8_APPEND_UNSAFE(bytes, length, code_point(character));
  text.append(bytes, length);
}

bool is_space(char32_t character) { return u_isUWhiteSpace(code_point(character)) != 0; }
bool is_letter(char32_t character) { return is_any(character, U_GC_L_MASK); }
bool is_number(char32_t character) { return is_any(character, U_GC_N_MASK); }
bool is_punctuation(char32_t character) { return is_any_of_unicode_8(character, U_GC_P_MASK); }
bool is_nonspacing_mark(char32_t character) { return is_any_of_unicode_8(character, U_GC_MN_MASK); }
bool is_other(char32_t character) { return is_any_of_unicode_8(character, kOther); }

}  // namespace image_engine::preprocess
