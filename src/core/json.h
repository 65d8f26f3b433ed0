// Parses and serialises JSON. nlohmann's parser and serialiser are compiled only here: each further use costs seconds
// to build.
#pragma once

#include <cmath>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace image_engine {

// Deeper documents are refused: writing, copying and walking them takes stack for each level.
inline constexpr std::size_t kMostJsonLevels = 64;

// Parses `text` (UTF-8); is_discarded() if it is not JSON or nested deeper than kMostJsonLevels. Thread-safe.
nlohmann::json parse_json(std::string_view text);

// On one line, or indented by `indent` spaces. Invalid UTF-8 in strings becomes U+FFFD.
std::string json_text(const nlohmann::json& document, int indent = -1);
std::string json_text(const nlohmann::ordered_json& document, int indent = -1);

// Numbers as in documents. No detector is more precise than a tenth of a pixel and a thousandth of confidence.
inline double tenths(double value) { return std::round(value * 10) / 10; }
inline double thousandths(double value) { return std::round(value * 1000) / 1000; }

}  // namespace image_engine
