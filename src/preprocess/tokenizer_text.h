// Unicode as tokenizers need it: normal forms, lower case, kinds of characters. The one user of ICU.
// Texts are valid UTF-8 throughout.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace image_engine::preprocess {

// Of canonical equivalents the shortest (NFC) and the longest (NFD).
std::string composed(std::string_view text);
std::string decomposed(std::string_view text);
// Character by character and without regard for neighbours, as Rust's char::to_lowercase: a final sigma is none.
std::string lower_case(std::string_view text);

// The character at `at`, which moves behind it.
char32_t next_character(std::string_view text, std::size_t& at);
void append_character(std::string& text, char32_t character);

bool is_space(char32_t character);  // White_Space
bool is_letter(char32_t character);
bool is_number(char32_t character);

// As the crate unicode_categories has them, with which BERT's reference cuts: the general categories of Unicode 8.
bool is_punctuation(char32_t character);
bool is_nonspacing_mark(char32_t character);
bool is_other(char32_t character);  // control, format, private use

}  // namespace image_engine::preprocess
