#include "nvidia/server_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/text.h"

namespace image_engine::nvidia {
namespace {

using nlohmann::json;

constexpr size_t kMostText = 200;

struct Meaning {
  int status;
  ErrorCode code;
  std::string_view text;
};
constexpr Meaning kMeanings[] = {
    {400, ErrorCode::kInvalidArgument, "the server does not understand the request"},
    {401, ErrorCode::kPermission, "the key is missing or refused"},
    {402, ErrorCode::kPermission, "no credits are left"},
    {403, ErrorCode::kPermission, "the key is refused"},
    {404, ErrorCode::kNotFound, "there is no such model, or the key does not open it"},
    {408, ErrorCode::kTimeout, "the server did not wait"},
    {410, ErrorCode::kNotFound, "the model is no longer served"},
    {413, ErrorCode::kTooLarge, "the request is too large"},
    {422, ErrorCode::kInvalidArgument, "the server rejects the request"},
    {429, ErrorCode::kBusy, "too many requests"},
    {503, ErrorCode::kIo, "the server is overloaded"},
    {504, ErrorCode::kTimeout, "the model did not answer in time"},
};

std::string word(const json& value, const char* key) {
  const auto found = value.is_object() ? value.find(key) : value.end();
  return found != value.end() && found->is_string() ? found->get<std::string>() : "";
}

// The message in a value: the value itself, its first element's, or its "message".
std::string words_of(const json& value) {
  const json* at = &value;
  if (at->is_array() && !at->empty()) at = &at->front();
  if (at->is_string()) return at->get<std::string>();
  const std::string message = word(*at, "message");
  return message.empty() ? word(*at, "msg") : message;
}

std::string said_in(const json& document) {
  if (!document.is_object()) return words_of(document);
  for (const char* key : {"detail", "error", "message", "title"})
    if (const auto found = document.find(key); found != document.end())
      if (std::string words = words_of(*found); !words.empty()) return words;
  return "";
}

bool is_html(std::string_view body) {
  const std::string start = ascii_lower(body.substr(0, kMostText));
  const size_t first = start.find_first_not_of(" \t\r\n");
  return first != std::string::npos && std::string_view(start).substr(first).starts_with('<') &&
         (start.find("html") != std::string::npos || start.find("<!doctype") != std::string::npos);
}

std::string first_line(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return "";
  text.remove_prefix(begin);
  text = text.substr(0, text.find_first_of("\r\n"));
  if (text.size() <= kMostText) return printable(text);
  return printable(utf8_beginning(text, kMostText)) + "…";
}

std::string server_message(std::string_view body, const ApiKey& key) {
  if (is_html(body)) return "an HTML page";
  const json document = parse_json(body);
  if (!document.is_discarded()) return first_line(key.redacted(said_in(document)));
  const std::string text = key.redacted(body);
  return is_utf8(text) ? first_line(text) : fmt::format("{} bytes that are not text", body.size());
}

}  // namespace

Error error_of_answer(const std::string& endpoint, int status, std::string_view body, const ApiKey& key) {
  Error error{ErrorCode::kIo, fmt::format("{}: HTTP {}", printable(endpoint), status)};
  if (const auto* known = std::ranges::find(kMeanings, status, &Meaning::status); known != std::end(kMeanings)) {
    error.code = known->code;
    error.message += fmt::format(", {}", known->text);
  }
  if (const std::string words = server_message(body, key); !words.empty()) error.message += ": " + words;
  return error;
}

}  // namespace image_engine::nvidia
