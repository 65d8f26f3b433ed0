#include "store/folding.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "store/sql.h"

namespace image_engine::store {
namespace {

// Letters that no decomposition relates to those that people type for them.
constexpr std::pair<char32_t, std::string_view> kLetters[] = {
    {U'æ', "ae"}, {U'œ', "oe"}, {U'ø', "o"}, {U'ł', "l"}, {U'đ', "d"},
    {U'ð', "d"},  {U'þ', "th"}, {U'ħ', "h"}, {U'ŧ', "t"}, {U'ı', "i"},
};

// Scripts whose marks above and below letters are left out in everyday writing. In all others they are vowels.
constexpr UScriptCode kWithDiacritics[] = {USCRIPT_COMMON,   USCRIPT_INHERITED, USCRIPT_LATIN,  USCRIPT_GREEK,
                                           USCRIPT_CYRILLIC, USCRIPT_HEBREW,    USCRIPT_ARABIC, USCRIPT_SYRIAC};

// Conjoining jamo, and how syllables are numbered: Unicode 15, section 3.12.
constexpr char32_t kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7, kSyllable = 0xAC00;
constexpr char32_t kLeads = 19, kVowels = 21, kTails = 28, kSyllables = kLeads * kVowels * kTails;

bool is_between(char32_t c, char32_t first, char32_t count) { return c >= first && c < first + count; }

const icu::Normalizer2& normalizer(const char* name, UNormalization2Mode mode) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* found = icu::Normalizer2::getInstance(nullptr, name, mode, error);
  if (U_FAILURE(error) != 0) raise(ErrorCode::kMachine, "ICU has no tables for text: reinstall its library");
  return *found;
}

std::string normalized(const icu::Normalizer2& form, std::string_view text) {
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  UErrorCode error = U_ZERO_ERROR;
  form.normalizeUTF8(0, {text.data(), static_cast<std::int32_t>(text.size())}, sink, nullptr, error);
  return U_FAILURE(error) != 0 ? std::string(text) : result;
}

bool is_diacritic(UChar32 c) {
  const std::uint32_t mask = U_GET_GC_MASK(c);
  if ((mask & (U_GC_MN_MASK | U_GC_ME_MASK)) == 0) return false;
  UErrorCode error = U_ZERO_ERROR;
  return std::ranges::find(kWithDiacritics, uscript_getScript(c, &error)) != std::end(kWithDiacritics);
}

bool is_ignored(UChar32 c) {
  return u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) != 0 || is_diacritic(c) ||
         u_hasBinaryProperty(c, UCHAR_EMOJI_MODIFIER) != 0;
}

// Signs such as © and ™ are pictures, too, but nobody searches for them.
bool is_emoji(UChar32 c) {
  constexpr UChar32 kFirst = 0x2190;
  return c >= kFirst && (u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC) != 0 ||
                         u_hasBinaryProperty(c, UCHAR_REGIONAL_INDICATOR) != 0);
}

bool is_letter(UChar32 c) { return (U_GET_GC_MASK(c) & (U_GC_L_MASK | U_GC_N_MASK | U_GC_M_MASK | U_GC_CO_MASK)) != 0; }

// What a character becomes, without what is ignored and what separates.
std::string letters_of(char32_t character) {
  static const icu::Normalizer2& kFold = normalizer("nfkc_cf", UNORM2_DECOMPOSE);
  std::string one, letters;
  append_utf8(one, character);
  const std::string folded = normalized(kFold, one);
  for (std::string_view rest = folded; !rest.empty();) {
    const char32_t c = take_character(rest);
    const auto* known = std::ranges::find(kLetters, c, &std::pair<char32_t, std::string_view>::first);
    if (known != std::end(kLetters))
      letters += known->second;
    else if (is_letter(static_cast<UChar32>(c)) && !is_ignored(static_cast<UChar32>(c)))
      append_utf8(letters, c);
  }
  return letters;
}

// ICU takes quadratic time for a run of marks, so that longer text is normalized in pieces.
std::string in_pieces(const icu::Normalizer2& form, std::string_view text) {
  constexpr size_t kLeast = 64, kMost = 1024;
  std::string result;
  for (std::string_view rest = text; !text.empty(); text = rest) {
    size_t size = 0;
    while (!rest.empty()) {
      std::string_view after = rest;
      const bool may_cut = form.hasBoundaryBefore(static_cast<UChar32>(take_character(after))) != 0;
      if (size >= kMost || (size >= kLeast && may_cut)) break;
      size += rest.size() - after.size();
      rest = after;
    }
    result += normalized(form, text.substr(0, size));
  }
  return result;
}

}  // namespace

const Folding::Page& Folding::fill(std::size_t page) {
  auto filled = std::make_unique<Page>();
  for (std::size_t i = 0; i < kPageSize; ++i) (*filled)[i] = character_of(static_cast<char32_t>(page << kPageBits | i));
  return *(pages_[page] = std::move(filled));
}

Folding::Character Folding::character_of(char32_t character) {
  const auto c = static_cast<UChar32>(character);
  if (is_ignored(c)) return {Role::kIgnored};
  const bool emoji = is_emoji(c);
  if (!emoji && !is_letter(c)) return {};
  std::string becomes;
  if (emoji || is_between(character, kSyllable, kSyllables))
    append_utf8(becomes, character);
  else
    becomes = letters_of(character);
  if (becomes.empty()) return {Role::kIgnored};
  const auto at = static_cast<std::uint32_t>(bytes_.size());
  bytes_ += becomes;
  std::string_view rest = becomes;
  const char32_t first = take_character(rest);
  const bool jamo = is_between(first, kVowel, kVowels) || is_between(first, kTail, kTails);
  return {emoji ? Role::kSymbol : jamo ? Role::kJamo : Role::kLetter, static_cast<std::uint8_t>(becomes.size()), at};
}

void Folding::append(const Character& character, std::string& word) const {
  const std::string_view becomes = std::string_view(bytes_).substr(character.at, character.size);
  constexpr size_t kBytes = 3;  // of jamo and syllables in UTF-8
  if (character.role == Role::kJamo && word.size() >= kBytes) {
    std::string_view last = std::string_view(word).substr(word.size() - kBytes), rest = becomes;
    const char32_t before = take_character(last), jamo = take_character(rest);
    const bool joins_lead = is_between(before, kLead, kLeads) && is_between(jamo, kVowel, kVowels);
    const bool joins_syllable = is_between(before, kSyllable, kSyllables) && (before - kSyllable) % kTails == 0 &&
                                is_between(jamo, kTail, kTails);
    if (joins_lead || joins_syllable) {
      word.resize(word.size() - kBytes);
      append_utf8(word, joins_lead ? kSyllable + ((before - kLead) * kVowels + (jamo - kVowel)) * kTails
                                   : before + (jamo - kTail));
      word += rest;
      return;
    }
  }
  word += becomes;
}

std::string plain_letters(std::string_view text) {
  Folding folding;
  std::string plain;
  while (!text.empty()) {
    const char32_t c = take_character(text);
    const Folding::Character& character = folding.of(c);
    if (character.role == Role::kSeparator)
      append_utf8(plain, c);
    else
      folding.append(character, plain);
  }
  return plain;
}

std::string folded_text(std::string_view text) {
  static const icu::Normalizer2& kFold = normalizer("nfkc_cf", UNORM2_COMPOSE);
  return in_pieces(kFold, text);
}

std::string composed_text(std::string_view text) {
  static const icu::Normalizer2& kCompose = normalizer("nfc", UNORM2_COMPOSE);
  return in_pieces(kCompose, text);
}

}  // namespace image_engine::store
