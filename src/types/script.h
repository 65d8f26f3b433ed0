// Scripts by character, as far as lines of text depend on them.
#pragma once

namespace image_engine {

// Takes no room of its own: it belongs to the character before it.
constexpr bool is_combining(char32_t c) {
  return (c >= 0x300 && c <= 0x36F) || (c >= 0x200B && c <= 0x200F) || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xE31 ||
         (c >= 0xE34 && c <= 0xE3A) || (c >= 0xE47 && c <= 0xE4E) || (c >= 0x93A && c <= 0x94F && c != 0x93D) ||
         (c >= 0x3099 && c <= 0x309A) || (c >= 0x1F3FB && c <= 0x1F3FF);
}
constexpr bool is_hangul(char32_t c) { return (c >= 0x1100 && c <= 0x11FF) || (c >= 0xAC00 && c <= 0xD7AF); }
// Is about as wide as two Latin letters (East Asian Width W and F, Unicode Standard Annex 11).
constexpr bool is_wide(char32_t c) {
  return is_hangul(c) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFF00 && c <= 0xFF60) ||
         (c >= 0x1F300 && c <= 0x1F9FF) || (c >= 0x20000 && c <= 0x3FFFF);
}
// A line may begin anew before and after it: its script has no spaces and hardly any words of several characters.
constexpr bool breaks_anywhere(char32_t c) { return is_wide(c) && !is_hangul(c); }
// No space is between two words of its script: Chinese, Japanese, Thai, Lao, Burmese, Khmer.
constexpr bool is_unspaced(char32_t c) {
  return breaks_anywhere(c) || (c >= 0xE00 && c <= 0xEFF) || (c >= 0x1000 && c <= 0x109F) ||
         (c >= 0x1780 && c <= 0x17FF);
}

}  // namespace image_engine
