#include "preprocess/tokenizer_text.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace image_engine::preprocess {
namespace {

constexpr std::uint32_t kOther = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK;

UChar32 code_point(char32_t character) { return static_cast<UChar32>(character); }

bool is_any(char32_t character, std::uint32_t categories) {
  return (U_GET_GC_MASK(code_point(character)) & categories) != 0;
}

// The characters of Unicode 8 that are of another category since.
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

// `normalizer` is null only where ICU's data is missing, which is part of its library.
std::string normalized(const icu::Normalizer2* normalizer, std::string_view text) {
  UErrorCode error = U_ZERO_ERROR;
  std::string result;
  icu::StringByteSink<std::string> sink(&result, static_cast<std::int32_t>(text.size()));
  if (normalizer != nullptr)
    normalizer->normalizeUTF8(0, {text.data(), static_cast<std::int32_t>(text.size())}, sink, nullptr, error);
  return normalizer != nullptr && U_SUCCESS(error) ? result : std::string(text);
}

}  // namespace

std::string composed(std::string_view text) {
  UErrorCode error = U_ZERO_ERROR;
  return normalized(icu::Normalizer2::getNFCInstance(error), text);
}

std::string decomposed(std::string_view text) {
  UErrorCode error = U_ZERO_ERROR;
  return normalized(icu::Normalizer2::getNFDInstance(error), text);
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
