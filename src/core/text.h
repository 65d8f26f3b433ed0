// Text as bytes: UTF-8, printable text, base64, nearest names.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine {

// A path or other bytes as valid UTF-8: each invalid byte becomes U+FFFD.
std::string to_utf8(std::string_view bytes);
bool is_utf8(std::string_view bytes);
// False for a UTF-8 continuation byte.
constexpr bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }
// The number of characters.
size_t character_count(std::string_view utf8);
// At most the first `most` bytes, without a partial character at the end.
std::string_view utf8_beginning(std::string_view utf8, size_t most);
// At most the first `most` characters.
std::string_view first_characters(std::string_view utf8, size_t most);
// Removes the first character of a non-empty text and returns it; for invalid UTF-8, removes one byte and returns
// U+FFFD.
char32_t take_character(std::string_view& text);
// `character` must be a Unicode scalar value.
void append_utf8(std::string& text, char32_t character);
// to_utf8() with invisible characters escaped: control characters as \n, \t, \x1b, those that reverse or join text,
// such as U+202E and U+200B, as \u202e. Safe on a terminal, and two texts that look the same are equal. Idempotent.
std::string printable(std::string_view bytes);
// Replaces names and passwords in URLs ("https://name:password@host") with "***", for display.
std::string without_passwords(std::string_view text);
std::string base64_encode(std::string_view bytes);
// kInvalidArgument for invalid base64.
Result<std::string> base64_decode(std::string_view text);
std::string ascii_lower(std::string_view text);

// The candidate with the smallest edit distance to `word`; empty when none is close enough.
std::string_view nearest_name(std::string_view word, std::span<const std::string_view> candidates);

// "1.5 GB", "312 KB": decimal units, for people.
std::string human_bytes(std::uint64_t bytes);
// "1 h 02 min", "3 min 05 s", "1.2 s": for people.
std::string human_duration(double seconds);
// "5,372".
// A time within a recording: "0:07", "12:30.5", "1:02:03"; the fraction only where there is one, at most milliseconds.
std::string clock_text(double seconds);
// The same, and plain seconds ("750", "12.5"). Nothing for other texts, negative times, and those over 10⁹ s.
std::optional<double> parse_clock(std::string_view text);
std::string human_count(std::uint64_t count);
// "1 file", "5,372 files". `many`: the plural that is not `one` and an "s".
std::string human_count(std::uint64_t count, std::string_view one, std::string_view many = {});

// The current time, as "2026-11-21T09:00:00Z".
std::string utc_now();

}  // namespace image_engine
