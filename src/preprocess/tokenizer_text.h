// Unicode for tokenizers: normal forms, lower case, character classes. The only user of ICU. Texts are valid UTF-8
// throughout.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace image_engine::preprocess {

// Unicode normalisation: NFC and NFD.
std::string composed(std::string_view text);
std::string decomposed(std::string_view text);
// Maps each character alone, as Rust's char::to_lowercase: no special case for the final sigma.
std::string lower_case(std::string_view text);

// The character at `at`; advances `at` past it.
char32_t next_character(std::string_view text, std::size_t& at);
void append_character(std::string& text, char32_t character);

bool is_space(char32_t character);  // White_Space
bool is_letter(char32_t character);
bool is_number(char32_t character);

// As in the crate unicode_categories, which BERT's reference tokenizer uses: general categories of Unicode 8.
bool is_punctuation(char32_t character);
bool is_nonspacing_mark(char32_t character);
bool is_other(char32_t character);  // control, format, private use

}  // namespace image_engine::preprocess
