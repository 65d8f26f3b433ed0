// JSON as text. nlohmann's parser and serialiser are compiled once, here: each use of its own costs seconds to build.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace image_engine {

// The document in `text` (UTF-8, nested at most as deep as the stack allows); is_discarded() where it is not JSON.
nlohmann::json parse_json(std::string_view text);

// On one line, or indented by `indent` spaces. What is not UTF-8 in a string is replaced by U+FFFD.
std::string json_text(const nlohmann::json& document, int indent = -1);
std::string json_text(const nlohmann::ordered_json& document, int indent = -1);

}  // namespace image_engine
