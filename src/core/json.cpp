#include "core/json.h"

#include <nlohmann/json.hpp>

namespace image_engine {

namespace {

// Of text that need not be JSON.
bool is_nested_too_deep(std::string_view text) {
  std::size_t levels = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\')
      ++i;
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && (c == '[' || c == '{') && ++levels > kMostJsonLevels)
      return true;
    else if (!in_string && (c == ']' || c == '}') && levels > 0)
      --levels;
  }
  return false;
}

}  // namespace

nlohmann::json parse_json(std::string_view text) {
  if (is_nested_too_deep(text)) return nlohmann::json(nlohmann::json::value_t::discarded);
  return nlohmann::json::parse(text, nullptr, false);
}

std::string json_text(const nlohmann::json& document, int indent) {
  return document.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_text(const nlohmann::ordered_json& document, int indent) {
  return document.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace image_engine
