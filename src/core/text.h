// Text as bytes: UTF-8, what a terminal may show, base64, names that were meant.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine {

// A path or other bytes as valid UTF-8: each byte that is not part of it becomes U+FFFD.
std::string to_utf8(std::string_view bytes);
bool is_utf8(std::string_view bytes);
// False for a byte that continues a character of UTF-8.
constexpr bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }
// How many characters UTF-8 has.
size_t character_count(std::string_view utf8);
// The first `most` bytes at most, without half a character at the end.
std::string_view utf8_beginning(std::string_view utf8, size_t most);
// The first `most` characters at most.
std::string_view first_characters(std::string_view utf8, size_t most);
// The character at the front of a text that is not empty, which is taken from it; U+FFFD, and one byte, for what is not
// UTF-8.
char32_t take_character(std::string_view& text);
// `character` is one of Unicode's.
void append_utf8(std::string& text, char32_t character);
// `to_utf8` with what is not seen written out: control characters as \n, \t, \x1b, those that turn or join text, such
// as U+202E and U+200B, as \u202e. Safe on a terminal, and two texts that look the same are the same. Applied twice it
// changes nothing more.
std::string printable(std::string_view bytes);
// Names and passwords of addresses in it ("https://name:password@host") replaced by "***": for what is shown.
std::string without_passwords(std::string_view text);
std::string base64_encode(std::string_view bytes);
// kInvalidArgument on anything but base64.
Result<std::string> base64_decode(std::string_view text);
std::string ascii_lower(std::string_view text);

// The candidate with the smallest edit distance to `word`; empty when none is near enough to have been meant.
std::string_view nearest_name(std::string_view word, std::span<const std::string_view> candidates);

// "1.5 GB", "312 KB": decimal units, for people.
std::string human_bytes(std::uint64_t bytes);
// "1 h 02 min", "3 min 05 s", "1.2 s": for people.
std::string human_duration(double seconds);
// "5,372".
// A time within a recording: "0:07", "12:30.5", "1:02:03"; the fraction only where there is one, at most milliseconds.
std::string clock_text(double seconds);
// The same, and plain seconds ("750", "12.5"). Nothing for other texts and for negative times.
std::optional<double> parse_clock(std::string_view text);
std::string human_count(std::uint64_t count);
// "1 file", "5,372 files". `many`: the plural that is not `one` and an "s".
std::string human_count(std::uint64_t count, std::string_view one, std::string_view many = {});

// Now, as "2026-11-21T09:00:00Z".
std::string utc_now();

}  // namespace image_engine
