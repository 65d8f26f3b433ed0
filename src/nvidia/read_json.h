// JSON from servers, read as if it were hostile.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/result.h"

namespace image_engine::nvidia {

// At most 16 MiB, 64 levels and a million values. NaN and Infinity, which Python's servers write, and numbers
// that no double holds (1e999) become null; bytes that are no UTF-8 and halves of surrogate pairs U+FFFD. kCorrupt says
// what it is instead, kTooLarge that it is too much.
Result<nlohmann::json> read_json(std::string_view body);

// The member of an object; nullptr: there is none, or `json` is no object.
const nlohmann::json* member(const nlohmann::json& json, const char* name);
// Likewise of a text.
const std::string* text_member(const nlohmann::json& json, const char* name);

// One line for people: control characters and what follows from them become single blanks, none at its ends; cut to
// `most` bytes at the border of a character. `text`: UTF-8.
std::string cleaned(std::string_view text, std::size_t most);

}  // namespace image_engine::nvidia
