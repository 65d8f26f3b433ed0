#include "media/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/text.h"

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;

constexpr char32_t kReplacement = 0xFFFD;

std::string_view trim(std::string_view text) {
  constexpr auto kSpace = " \t\r\n\v\f"sv;
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Without commas and blanks.
std::vector<std::string_view> words_of(std::string_view text) {
  constexpr auto kBetween = " ,\t"sv;
  std::vector<std::string_view> words;
  for (size_t from = text.find_first_not_of(kBetween); from != text.npos;) {
    const size_t end = std::min(text.find_first_of(kBetween, from), text.size());
    words.push_back(text.substr(from, end - from));
    from = text.find_first_not_of(kBetween, end);
  }
  return words;
}

// Parses numbers and separators from the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}
  // Between `least` and `most` digits.
  std::optional<int> digits(size_t least, size_t most) {
    size_t n = 0;
    while (n < most && n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9') ++n;
    int value = 0;
    if (n < least || std::from_chars(rest_.data(), rest_.data() + n, value).ec != std::errc{}) return std::nullopt;
    rest_.remove_prefix(n);
    return value;
  }
  // One of `set`, or 0.
  char any(std::string_view set) {
    if (rest_.empty() || set.find(rest_[0]) == set.npos) return 0;
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }
  [[nodiscard]] bool at_digit() const { return !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9'; }
  [[nodiscard]] std::string_view rest() const { return rest_; }
  void skip(size_t count) { rest_.remove_prefix(std::min(count, rest_.size())); }

 private:
  std::string_view rest_;
};

}  // namespace

std::string clean_text(std::string_view bytes) {
  bytes = bytes.substr(0, bytes.find('\0'));
  if (is_utf8(bytes)) return std::string(trim(utf8_beginning(trim(bytes), kMaxText)));
  std::string text;
  for (const char c : trim(bytes).substr(0, kMaxText)) append_utf8(text, static_cast<unsigned char>(c));
  return std::string(utf8_beginning(text, kMaxText));
}

std::string clean_utf16(std::string_view bytes, ByteOrder order) {
  const std::span raw(reinterpret_cast<const std::byte*>(bytes.data()), bytes.size());
  ByteView view(raw, order);
  size_t at = 0;
  if (bytes.starts_with("\xff\xfe"sv) || bytes.starts_with("\xfe\xff"sv)) {
    view = view.with_order(bytes[0] == '\xff' ? ByteOrder::kLittle : ByteOrder::kBig);
    at = 2;
  }
  std::string text;
  for (; at + 1 < bytes.size() && text.size() < kMaxText; at += 2) {
    char32_t c = view.u16(at);
    if (c == 0) break;
    if (c >= 0xD800 && c < 0xE000) {
      const char32_t low = view.u16(at + 2);
      const bool pair = c < 0xDC00 && low >= 0xDC00 && low < 0xE000;
      c = pair ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : kReplacement;
      if (pair) at += 2;
    }
    append_utf8(text, c);
  }
  return std::string(trim(utf8_beginning(text, kMaxText)));
}

std::string clean_user_comment(std::string_view bytes, ByteOrder order) {
  constexpr size_t kPrefix = 8;
  if (bytes.starts_with("JIS\0"sv)) return {};
  if (bytes.starts_with("UNICODE\0"sv)) {
    // Writers disagree about the byte order: the one that makes more of the first characters Latin is used.
    const auto text = bytes.substr(kPrefix);
    size_t high_first = 0, low_first = 0;
    for (size_t i = 0; i + 1 < std::min<size_t>(text.size(), 128); i += 2) {
      high_first += text[i] == 0 && text[i + 1] != 0;
      low_first += text[i] != 0 && text[i + 1] == 0;
    }
    if (high_first != low_first) order = high_first > low_first ? ByteOrder::kBig : ByteOrder::kLittle;
    return clean_utf16(text, order);
  }
  if (bytes.starts_with("ASCII\0\0\0"sv) || bytes.starts_with("\0\0\0\0\0\0\0\0"sv)) bytes.remove_prefix(kPrefix);
  return clean_text(bytes);
}

std::optional<std::int32_t> parse_offset(std::string_view text) {
  Scanner scan(trim(text));
  if (scan.any("Zz") || scan.rest() == "GMT" || scan.rest() == "UTC") return 0;
  const char sign = scan.any("+-");
  const auto hours = scan.digits(2, 2);
  scan.any(":");
  const auto minutes = scan.digits(2, 2);
  if (!sign || !hours || *hours > 14 || minutes.value_or(0) > 59) return std::nullopt;
  const auto offset = *hours * 60 + minutes.value_or(0);
  if (offset > 14 * 60) return std::nullopt;
  return sign == '-' ? -offset : offset;
}

namespace {

// A month or day: digits; 0 where it is blank or missing, that is unknown.
int date_part(Scanner& scan) {
  const bool is_separated = scan.any(":-/.") != 0;
  if (const auto number = scan.digits(is_separated ? 1 : 2, 2)) return *number;
  if (is_separated && scan.any(" ")) scan.any(" ");
  return 0;
}

// "10:22:03.12 PM +02:00", "102203Z"; what is blank stays unknown.
void read_clock(Scanner& scan, TimeParts& parts) {
  while (scan.any(" ")) {
  }
  parts.hour = scan.digits(1, 2).value_or(-1);
  scan.any(":");
  parts.minute = scan.digits(1, 2).value_or(-1);
  scan.any(":");
  parts.second = scan.digits(1, 2).value_or(-1);
  if (scan.any(".,"))
    while (const char digit = scan.any("0123456789")) parts.fraction += digit;
  while (scan.any(" ")) {
  }
  const char half = scan.any("AaPp");
  if (half && scan.any("Mm") && parts.hour >= 1 && parts.hour <= 12)
    parts.hour = parts.hour % 12 + (half == 'p' || half == 'P' ? 12 : 0);
  parts.offset_minutes = parse_offset(scan.rest());
}

std::optional<CaptureTime> parse_numbers(std::string_view text) {
  Scanner scan(text);
  const auto year = scan.digits(4, 4);
  if (!year) return std::nullopt;
  TimeParts parts;
  parts.year = *year;
  parts.month = date_part(scan);
  parts.day = date_part(scan);
  if (parts.month == 0 || parts.day == 0) {
    if (scan.rest().find_first_not_of("0123456789:-+/. TZ") != std::string_view::npos) return std::nullopt;
  } else if (scan.any(" T:") || scan.at_digit()) {
    read_clock(scan, parts);
  } else if (!scan.rest().empty()) {
    return std::nullopt;
  }
  return capture_time(parts);
}

// Of an English name or its beginning of three letters or more; 0: none.
int month_named(std::string_view word) {
  constexpr std::string_view kNames[] = {"january", "february", "march",     "april",   "may",      "june",
                                         "july",    "august",   "september", "october", "november", "december"};
  const std::string name = ascii_lower(word);
  const auto* found =
      std::ranges::find_if(kNames, [&](auto full) { return name.size() >= 3 && full.starts_with(name); });
  return found == std::end(kNames) ? 0 : static_cast<int>(found - std::begin(kNames)) + 1;
}

// "Mon, 22 Apr 2019 13:15:41 +0200" (RFC 1123, which PNG suggests), "Mon Apr 22 13:15:41 2019", "22 April 2019".
std::optional<CaptureTime> parse_words(std::string_view text) {
  int month = 0;
  std::string_view year, day, clock;
  std::string behind;  // the time of day: AM or PM, zone
  for (const std::string_view word : words_of(text)) {
    const bool is_number = word.find_first_not_of("0123456789") == std::string_view::npos;
    if (const int named = month_named(word); named > 0)
      month = named;
    else if (is_number && word.size() == 4)
      year = word;
    else if (is_number && word.size() <= 2)
      day = word;
    else if (word.find(':') != std::string_view::npos)
      clock = word;
    else if (!clock.empty())
      behind.append(1, ' ').append(word);
  }
  if (year.empty() || month == 0 || day.empty()) return std::nullopt;
  return parse_numbers(fmt::format("{}-{:02}-{} {}{}", year, month, day, clock, behind));
}

}  // namespace

std::optional<CaptureTime> parse_time(std::string_view text) {
  text = trim(text);
  const auto time = parse_numbers(text);
  return time ? time : parse_words(text);
}

std::optional<Gps> parse_iso6709(std::string_view text) {
  std::array<std::optional<double>, 3> parts;
  Scanner scan(trim(text));
  for (auto& part : parts) {
    const char sign = scan.any("+-");
    if (!sign) break;
    const auto end = std::min(scan.rest().find_first_of("+-/C"), scan.rest().size());
    part = parse_number(scan.rest().substr(0, end));
    if (part && sign == '-') *part = -*part;
    scan.skip(end);
  }
  if (!parts[0] || !parts[1] || std::abs(*parts[0]) > 90 || std::abs(*parts[1]) > 180) return std::nullopt;
  return Gps{*parts[0], *parts[1], parts[2]};
}

std::optional<double> parse_number(std::string_view text) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto slash = text.find('/');
  const auto read = [](std::string_view part) -> std::optional<double> {
    double value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size() || !std::isfinite(value)) return std::nullopt;
    return value;
  };
  const auto above = read(text.substr(0, slash));
  if (slash == text.npos || !above) return above;
  const auto below = read(text.substr(slash + 1));
  if (!below || *below == 0) return std::nullopt;
  return *above / *below;
}

}  // namespace image_engine::media
