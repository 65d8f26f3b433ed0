// Parses JSON from servers as untrusted input.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/result.h"

namespace image_engine::nvidia {

// At most 16 MiB, 64 levels and a million values. NaN and Infinity, which Python's servers write, and numbers out of
// double's range (1e999) become null; invalid UTF-8 and lone surrogates become U+FFFD. kCorrupt names what it is
// instead; kTooLarge: over a limit.
Result<nlohmann::json> read_json(std::string_view body);

// The member of an object; nullptr: there is none, or `json` is no object.
const nlohmann::json* member(const nlohmann::json& json, const char* name);
// Likewise for a string.
const std::string* text_member(const nlohmann::json& json, const char* name);

// One line for people: runs of control characters and blanks become single blanks; trimmed, and cut to `most` bytes
// at a character boundary. `text`: UTF-8.
std::string cleaned(std::string_view text, std::size_t most);

}  // namespace image_engine::nvidia
