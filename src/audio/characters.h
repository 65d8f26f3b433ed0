// The characters at the ends of texts in UTF-8. Thread-safe.
#pragma once

#include <string_view>

#include "core/text.h"
#include "types/script.h"

namespace image_engine::audio {

inline bool is_any_of(char32_t c, std::u32string_view list) { return list.find(c) != std::u32string_view::npos; }

// Where the last character begins.
inline std::size_t last_begin(std::string_view text) {
  std::size_t at = text.empty() ? 0 : text.size() - 1;
  while (at > 0 && !begins_character(text[at])) --at;
  return at;
}
// Of an empty text a space.
inline char32_t first_of(std::string_view text) { return text.empty() ? U' ' : take_character(text); }
inline char32_t last_of(std::string_view text) { return first_of(text.substr(last_begin(text))); }

// Whether a space is between two texts, one said after the other.
inline bool needs_space(std::string_view before, std::string_view after) {
  return !(is_unspaced(last_of(before)) && is_unspaced(first_of(after)));
}

}  // namespace image_engine::audio
