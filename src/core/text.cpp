#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <numeric>
#include <optional>

namespace image_engine {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// The length of the well-formed UTF-8 sequence that `text` begins with (Unicode 15, table 3-7); 0 when there is none.
size_t sequence_length(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if (begins_character(text[i])) return 0;
  if ((lead == 0xE0 && at(1) < 0xA0) || (lead == 0xED && at(1) > 0x9F) || (lead == 0xF0 && at(1) < 0x90) ||
      (lead == 0xF4 && at(1) > 0x8F))
    return 0;
  return length;
}

// Of one well-formed sequence.
char32_t character_of(std::string_view sequence) {
  constexpr char32_t kLeadBits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t character = static_cast<unsigned char>(sequence[0]) & kLeadBits[sequence.size()];
  for (const char c : sequence.substr(1)) character = character << 6 | (static_cast<unsigned char>(c) & 0x3FU);
  return character;
}

// Removes and returns the first sequence of non-empty `bytes`; U+FFFD for a byte that is not UTF-8.
std::string_view take_sequence(std::string_view& bytes) {
  const size_t length = sequence_length(bytes);
  const std::string_view sequence = length == 0 ? kReplacement : bytes.substr(0, length);
  bytes.remove_prefix(std::max<size_t>(length, 1));
  return sequence;
}

}  // namespace

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = sequence_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string to_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) text += take_sequence(bytes);
  return text;
}

size_t character_count(std::string_view utf8) {
  return static_cast<size_t>(std::ranges::count_if(utf8, begins_character));
}

std::string_view utf8_beginning(std::string_view utf8, size_t most) {
  if (utf8.size() <= most) return utf8;
  while (most > 0 && !begins_character(utf8[most])) --most;
  return utf8.substr(0, most);
}

std::string_view first_characters(std::string_view utf8, size_t most) {
  const auto* const end = std::ranges::find_if(utf8, [&](char byte) { return begins_character(byte) && most-- == 0; });
  return {utf8.begin(), end};
}

char32_t take_character(std::string_view& text) { return character_of(take_sequence(text)); }

void append_utf8(std::string& text, char32_t character) {
  constexpr unsigned char kLead[] = {0, 0xC0, 0xE0, 0xF0};
  const unsigned more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  text += static_cast<char>(kLead[more] | character >> (6 * more));
  for (unsigned i = more; i-- > 0;) text += static_cast<char>(0x80 | (character >> (6 * i) & 0x3F));
}

namespace {

struct CharacterRange {
  std::uint32_t first, last;
};
// Controls, line and paragraph separators, and invisible characters that change how text is read: Unicode 15's
// categories Cc, Zl, Zp and Cf.
constexpr CharacterRange kUnseen[] = {{0x0, 0x1F},        {0x7F, 0x9F},       {0xAD, 0xAD},       {0x600, 0x605},
                                      {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x890, 0x891},
                                      {0x8E2, 0x8E2},     {0x180E, 0x180E},   {0x200B, 0x200F},   {0x2028, 0x202E},
                                      {0x2060, 0x206F},   {0xFEFF, 0xFEFF},   {0xFFF9, 0xFFFB},   {0x110BD, 0x110BD},
                                      {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
                                      {0xE0001, 0xE0001}, {0xE0020, 0xE007F}};

bool is_unseen(char32_t character) {
  return std::ranges::any_of(
      kUnseen, [&](const CharacterRange& range) { return character >= range.first && character <= range.last; });
}

std::string escaped(std::uint32_t character) {
  if (character == '\n') return "\\n";
  if (character == '\t') return "\\t";
  if (character < 0x80) return fmt::format("\\x{:02x}", character);
  return character <= 0xFFFF ? fmt::format("\\u{:04x}", character) : fmt::format("\\U{:08x}", character);
}

}  // namespace

std::string printable(std::string_view bytes) {
  std::string safe;
  safe.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::string_view sequence = take_sequence(bytes);
    const char32_t character = character_of(sequence);
    is_unseen(character) ? safe += escaped(character) : safe += sequence;
  }
  return safe;
}

namespace {
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string without_passwords(std::string_view text) {
  std::string result;
  for (size_t at; (at = text.find("://")) != std::string_view::npos;) {
    result.append(text.substr(0, at + 3));
    text.remove_prefix(at + 3);
    const std::string_view authority = text.substr(0, text.find_first_of("/?#\"', \t\n"));
    const size_t end = authority.rfind('@');
    if (end == std::string_view::npos) continue;
    result.append("***");
    text.remove_prefix(end);
  }
  return result.append(text);
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kBase64[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

Result<std::string> base64_decode(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (char c : text) {
    const size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return fail(ErrorCode::kInvalidArgument, "not base64");
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 255);
  }
  return bytes;
}

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

namespace {

// Changed, missing and further characters, and neighbours in the wrong order.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> earlier(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    earlier.swap(above);
    above.swap(row);
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({above[j] + (a[i] == b[j] ? 0 : 1), row[j] + 1, above[j + 1] + 1});
      if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j]) row[j + 1] = std::min(row[j + 1], earlier[j - 1] + 1);
    }
  }
  return row.back();
}

}  // namespace

std::string_view nearest_name(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  size_t best_distance = std::clamp<size_t>(word.size() / 2, 1, std::max<size_t>(2, word.size() / 3)) + 1;
  for (std::string_view candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) best_distance = distance, best = candidate;
  }
  return best;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) value /= 1000, ++unit;
  return unit == 0 || value >= 99.95 ? fmt::format("{:.0f} {}", value, kUnits[unit])
                                     : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_duration(double seconds) {
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string clock_text(double seconds) {
  const auto total = static_cast<std::uint64_t>(std::max(seconds, 0.0) * 1000 + 0.5);
  const std::uint64_t whole = total / 1000, milliseconds = total % 1000;
  std::string text = whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                                  : fmt::format("{}:{:02}:{:02}", whole / 3600, whole % 3600 / 60, whole % 60);
  if (milliseconds == 0) return text;
  text += fmt::format(".{:03}", milliseconds);
  while (text.back() == '0') text.pop_back();
  return text;
}

std::optional<double> parse_clock(std::string_view text) {
  constexpr double kLongest = 1e9;  // 31 years: whole numbers of any time base hold it
  double seconds = 0;
  for (int parts = 1;; ++parts) {
    const size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    double value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value, std::chars_format::fixed);
    if (error != std::errc() || end != part.data() + part.size() || !(value >= 0) || part.starts_with('-')) return {};
    if (parts > 1 && value >= 60) return {};
    seconds = seconds * 60 + value;
    if (colon == text.npos) return seconds <= kLongest ? std::optional(seconds) : std::nullopt;
    if (parts == 3) return {};
    text.remove_prefix(colon + 1);
  }
}

std::string human_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string human_count(std::uint64_t count, std::string_view one, std::string_view many) {
  const bool regular = many.empty();
  return fmt::format("{} {}{}", human_count(count), count == 1 || regular ? one : many,
                     count != 1 && regular ? "s" : "");
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace image_engine
