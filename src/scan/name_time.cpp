#include "scan/name_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "core/text.h"

namespace image_engine::scan {
namespace {

using std::string_view;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Without the extension. What follows the last dot is none where it is a number: "… at 13.15.41".
string_view stem_of_name(string_view name) {
  const size_t dot = name.rfind('.');
  const bool has_extension = dot != string_view::npos && std::ranges::any_of(name.substr(dot), is_letter);
  return has_extension ? name.substr(0, dot) : name;
}

// Reads the front of what is left of a name.
class NameReader {
 public:
  explicit NameReader(string_view rest) : rest_(rest) {}
  [[nodiscard]] size_t run() const {  // digits at the front
    return static_cast<size_t>(std::ranges::find_if_not(rest_, is_digit) - rest_.begin());
  }
  int number(size_t digits) {
    int value = -1;
    std::from_chars(rest_.data(), rest_.data() + std::min(digits, rest_.size()), value);
    rest_.remove_prefix(std::min(digits, rest_.size()));
    return value;
  }
  string_view text(size_t characters) {
    const string_view front = rest_.substr(0, characters);
    rest_.remove_prefix(front.size());
    return front;
  }
  bool any(string_view set) {
    const bool is_there = !rest_.empty() && set.find(rest_[0]) != string_view::npos;
    if (is_there) rest_.remove_prefix(1);
    return is_there;
  }
  [[nodiscard]] string_view rest() const { return rest_; }

 private:
  string_view rest_;
};

// Between a date and its time: one character, or a word in blanks (" at ", " um ", " à ").
bool skip_between(NameReader& reader) {
  constexpr size_t kLongestWord = 12;  // " alle ore ", bytes
  const size_t digit = static_cast<size_t>(std::ranges::find_if(reader.rest(), is_digit) - reader.rest().begin());
  if (digit == reader.rest().size()) return false;
  const string_view between = reader.rest().substr(0, digit);
  const bool is_word = digit >= 3 && digit <= kLongestWord && between.front() == ' ' && between.back() == ' ' &&
                       between.find_first_of("_-.,()") == string_view::npos;
  if (!is_word && !(digit == 1 && between.find_first_of(" _-T.") == 0)) return false;
  reader.text(digit);
  return true;
}

// "131541", "131541123", "13.15.41", "13-15-41-123", "1.15.41 PM". False and unchanged parts where there is none.
bool read_clock(NameReader reader, TimeParts& parts) {
  TimeParts read = parts;
  const size_t run = reader.run();
  if (run == 6 || run == 9) {
    read.hour = reader.number(2), read.minute = reader.number(2), read.second = reader.number(2);
    read.fraction = reader.text(reader.run());
  } else {
    if (run != 1 && run != 2) return false;
    read.hour = reader.number(run);
    for (int* part : {&read.minute, &read.second}) {
      if (!reader.any(".-_:") || reader.run() != 2) return false;
      *part = reader.number(2);
    }
    reader.any(" ");
    reader.text(reader.rest().starts_with("\u202F") ? 3 : 0);  // a narrow blank
    const std::string half = ascii_lower(reader.text(2));
    if ((half == "am" || half == "pm") && read.hour >= 1 && read.hour <= 12)
      read.hour = read.hour % 12 + (half == "pm" ? 12 : 0);
  }
  if (read.hour > 23 || read.minute > 59 || read.second > 59) return false;
  parts = std::move(read);
  return true;
}

// What camera apps and messengers put before a date without a time.
bool begins_dated_names(string_view before) {
  constexpr string_view kBeginnings[] = {"img",   "vid",  "aud",   "ptt",   "doc",   "stk",        "pxl",
                                         "mvimg", "pano", "photo", "image", "video", "screenshot", "signal"};
  while (!before.empty() && string_view("_- ").find(before.back()) != string_view::npos) before.remove_suffix(1);
  return before.empty() || std::ranges::find(kBeginnings, ascii_lower(before)) != std::end(kBeginnings);
}

// "20190422" and, behind it or after a character, its time. `before`: the name up to here.
std::optional<TimeParts> compact_time(string_view before, NameReader reader) {
  constexpr int kFirstDigitalYear = 1990;  // numbers that count pictures look like dates, too
  const size_t run = reader.run();
  if (run != 8 && run != 14 && run != 17) return std::nullopt;
  TimeParts parts;
  parts.year = reader.number(4), parts.month = reader.number(2), parts.day = reader.number(2);
  if (parts.year < kFirstDigitalYear || parts.month == 0 || parts.day == 0) return std::nullopt;
  NameReader clock = reader;
  if ((run > 8 || skip_between(clock)) && read_clock(clock, parts)) return parts;
  const bool ends = reader.rest().empty() || !is_letter(reader.rest().front());
  if (run == 8 && ends && begins_dated_names(before)) return parts;
  return std::nullopt;
}

// "2019-04-22" and its time.
std::optional<TimeParts> separated_time(string_view before, NameReader reader) {
  if (reader.run() != 4 || (!before.empty() && is_letter(before.back()))) return std::nullopt;
  TimeParts parts;
  parts.year = reader.number(4);
  const char separator = reader.rest().empty() ? '\0' : reader.rest().front();
  for (int* part : {&parts.month, &parts.day}) {
    if (string_view("-_.").find(separator) == string_view::npos || !reader.any({&separator, 1}) || reader.run() != 2)
      return std::nullopt;
    *part = reader.number(2);
    if (*part == 0) return std::nullopt;
  }
  if (skip_between(reader)) read_clock(reader, parts);
  return parts;
}

// Thirteen digits: milliseconds since 1970, from 2005 on.
std::optional<TimeParts> counted_time(NameReader reader) {
  constexpr std::int64_t kFirst = 1'104'537'600'000;
  if (reader.run() != 13) return std::nullopt;
  const string_view digits = reader.text(13);
  std::int64_t milliseconds = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), milliseconds);
  if (milliseconds < kFirst) return std::nullopt;
  using namespace std::chrono;
  const sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(milliseconds)};
  const sys_days days = floor<std::chrono::days>(time);
  const year_month_day date(days);
  const hh_mm_ss clock(time - days);
  TimeParts parts;
  parts.year = static_cast<int>(date.year());
  parts.month = static_cast<int>(static_cast<unsigned>(date.month()));
  parts.day = static_cast<int>(static_cast<unsigned>(date.day()));
  parts.hour = static_cast<int>(clock.hours().count());
  parts.minute = static_cast<int>(clock.minutes().count());
  parts.second = static_cast<int>(clock.seconds().count());
  if (const auto rest = clock.subseconds().count(); rest != 0) parts.fraction = fmt::format("{:03}", rest);
  parts.offset_minutes = 0;
  return parts;
}

}  // namespace

std::optional<CaptureTime> time_in_name(string_view name, std::int64_t now) {
  constexpr std::int64_t kDay = 86'400;  // whatever the zone
  const string_view stem = stem_of_name(name);
  const bool is_utc = stem.starts_with("PXL_") || stem.ends_with("_iOS");
  std::optional<CaptureTime> best;
  for (size_t at = 0; at < stem.size(); ++at) {
    if (!is_digit(stem[at]) || (at > 0 && is_digit(stem[at - 1]))) continue;
    const NameReader reader(stem.substr(at));
    const string_view before = stem.substr(0, at);
    std::optional<TimeParts> parts = compact_time(before, reader);
    if (!parts) parts = separated_time(before, reader);
    if (!parts) parts = counted_time(reader);
    if (!parts) continue;
    if (is_utc && !parts->offset_minutes) parts->offset_minutes = 0;
    std::optional<CaptureTime> time = capture_time(*parts);
    if (!time || time->local_seconds() > now + kDay || (best && time->precision <= best->precision)) continue;
    time->source = TimeSource::kName;
    best = std::move(time);
  }
  return best;
}

}  // namespace image_engine::scan
