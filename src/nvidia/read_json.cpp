#include "nvidia/read_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "core/json.h"
#include "core/text.h"

namespace image_engine::nvidia {
namespace {

using nlohmann::json;

constexpr std::size_t kMostJsonBytes = std::size_t{16} << 20;
constexpr std::size_t kDeepest = 64;
constexpr std::size_t kMostValues = 1'000'000;
constexpr std::size_t kUnit = 6;  // bytes of "\\ud83d"
constexpr std::string_view kOfNumbers = "0123456789+-.eE";
constexpr std::array<std::string_view, 3> kNoNumbers = {"NaN", "-Infinity", "Infinity"};

// A non-number such as NaN where a value begins; empty: none.
std::string_view no_number_at(std::string_view text) {
  const auto* found = std::ranges::find_if(kNoNumbers, [&](std::string_view word) { return text.starts_with(word); });
  return found == kNoNumbers.end() ? std::string_view() : *found;
}

// The end of the string whose opening quote is at `start`.
std::size_t end_of_text(std::string_view body, std::size_t start) {
  std::size_t at = start + 1;
  while (at < body.size() && body[at] != '"') at += body[at] == '\\' ? 2 : 1;
  return std::min(at + 1, body.size());
}

// The length of a number at the front of the text if it is out of double's range; else 0.
std::size_t too_large_at(std::string_view text) {
  const std::size_t size = std::min(text.find_first_not_of(kOfNumbers), text.size());
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + size, value);
  // Numbers that are too small also give this error: they become zero.
  const bool is_out = read.ec == std::errc::result_out_of_range && read.ptr == text.data() + size;
  return is_out && !json::accept(text.substr(0, size)) ? size : 0;
}

// The length of a non-number at the start of a value; 0: it is none.
std::size_t null_at(std::string_view text) {
  if (const std::string_view word = no_number_at(text); !word.empty()) return word.size();
  return text[0] == '-' || (text[0] >= '0' && text[0] <= '9') ? too_large_at(text) : 0;
}

// The UTF-16 unit of an escape such as "\ud83d" at the front of the text.
std::optional<unsigned> unit_at(std::string_view text) {
  if (!text.starts_with("\\u") || text.size() < kUnit) return std::nullopt;
  unsigned unit = 0;
  const auto read = std::from_chars(text.data() + 2, text.data() + kUnit, unit, 16);
  return read.ec == std::errc() && read.ptr == text.data() + kUnit ? std::optional(unit) : std::nullopt;
}

// A quoted string, with U+FFFD for lone surrogates.
std::string paired(std::string_view quoted) {
  const auto is_half = [](std::optional<unsigned> unit, unsigned first) {
    return unit && *unit / 0x400 == first / 0x400;
  };
  std::string text;
  text.reserve(quoted.size());
  for (std::size_t at = 0; at < quoted.size();) {
    std::size_t size = quoted[at] == '\\' ? 2 : 1;
    const std::string_view rest = quoted.substr(at);
    const std::optional<unsigned> unit = unit_at(rest);
    if (unit) size = kUnit;
    const bool is_pair = is_half(unit, 0xD800) && is_half(unit_at(rest.substr(kUnit)), 0xDC00);
    if (is_pair) size = 2 * kUnit;
    if (!is_pair && (is_half(unit, 0xD800) || is_half(unit, 0xDC00)))
      text += "\\ufffd";
    else
      text += rest.substr(0, size);
    at += size;
  }
  return text;
}

// The body with null for non-numbers, and valid strings. Counts values here, before a document of them could take
// gigabytes.
Result<std::string> bounded(std::string_view body) {
  std::string text;
  text.reserve(body.size());
  std::size_t depth = 0, values = 0;
  for (std::size_t at = 0; at < body.size();) {
    std::size_t end = at + 1;
    const char c = body[at];
    if (c == '"') end = end_of_text(body, at);
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (c == '[' || c == '{' || c == ',') ++values;
    if (depth > kDeepest) return fail(ErrorCode::kCorrupt, "its JSON is nested too deeply");
    if (values > kMostValues) return fail(ErrorCode::kTooLarge, "its JSON has more than a million values");
    if (c == '"') {
      text += paired(body.substr(at, end - at));
    } else if (const std::size_t size = null_at(body.substr(at)); size > 0) {
      text += "null";
      end = at + size;
    } else {
      if (kOfNumbers.find(c) != std::string_view::npos)
        end = std::min(body.find_first_not_of(kOfNumbers, at), body.size());
      text += body.substr(at, end - at);
    }
    at = end;
  }
  return text;
}

}  // namespace

Result<json> read_json(std::string_view body) {
  if (body.size() > kMostJsonBytes)
    return fail(ErrorCode::kTooLarge,
                fmt::format("it has {}, more than {}", human_bytes(body.size()), human_bytes(kMostJsonBytes)));
  const std::size_t start = body.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return fail(ErrorCode::kCorrupt, "it is empty");
  if (body[start] == '<') return fail(ErrorCode::kCorrupt, "it is a web page, not JSON");
  IE_TRY(const std::string text, bounded(body));
  json document = parse_json(is_utf8(text) ? text : to_utf8(text));
  if (document.is_discarded()) return fail(ErrorCode::kCorrupt, "it is invalid JSON");
  return document;
}

const json* member(const json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

const std::string* text_member(const json& object, const char* name) {
  const json* found = member(object, name);
  return found != nullptr ? found->get_ptr<const std::string*>() : nullptr;
}

std::string cleaned(std::string_view text, std::size_t most) {
  std::string line;
  const auto is_control = [&](std::size_t at) {  // U+0080…U+009F are two bytes, C2 80…9F
    const auto c = static_cast<unsigned char>(text[at]);
    const bool is_c1 = c == 0xC2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0;
    return c < 0x20 || c == 0x7F ? 1U : is_c1 ? 2U : 0U;
  };
  for (std::size_t at = 0; at < text.size() && line.size() <= most;) {
    if (const unsigned control = is_control(at); control > 0 || text[at] == ' ') {
      if (!line.empty() && line.back() != ' ') line += ' ';
      at += std::max(control, 1U);
    } else {
      line += text[at++];
    }
  }
  line.resize(utf8_beginning(line, most).size());
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace image_engine::nvidia
