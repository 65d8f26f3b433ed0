// JSON as text. nlohmann's parser and serialiser are compiled once, here: each use of its own costs seconds to build.
#pragma once

#include <cmath>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace image_engine {

// Documents nested deeper are refused: writing, copying and walking them takes stack for each level.
inline constexpr std::size_t kMostJsonLevels = 64;

// The document in `text` (UTF-8); is_discarded() where it is not JSON, or has arrays and objects nested in more than
// kMostJsonLevels. Thread-safe.
nlohmann::json parse_json(std::string_view text);

// On one line, or indented by `indent` spaces. What is not UTF-8 in a string is replaced by U+FFFD.
std::string json_text(const nlohmann::json& document, int indent = -1);
std::string json_text(const nlohmann::ordered_json& document, int indent = -1);

// Numbers as documents have them. A tenth of a pixel and a thousandth of confidence are more than any detector knows.
inline double tenths(double value) { return std::round(value * 10) / 10; }
inline double thousandths(double value) { return std::round(value * 1000) / 1000; }

}  // namespace image_engine
