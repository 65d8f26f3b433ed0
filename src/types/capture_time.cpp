#include "types/capture_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iterator>

namespace image_engine {
namespace {

// By their values. `characters`: of `local`, up to the part.
struct PrecisionRow {
  std::string_view name;
  size_t characters;
};
constexpr PrecisionRow kPrecisionRows[] = {
    {"year", 4}, {"month", 7}, {"day", 10}, {"minute", 16}, {"second", std::string::npos}};
constexpr std::string_view kSourceNames[] = {"original", "digitized", "gps", "modified", "name"};

std::string with_zone(std::string local, std::optional<std::int32_t> offset_minutes) {
  if (!offset_minutes) return local;
  if (*offset_minutes == 0) return local + "Z";
  const int minutes = std::abs(*offset_minutes);
  return fmt::format("{}{}{:02}:{:02}", local, *offset_minutes < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

}  // namespace

std::string_view precision_name(TimePrecision precision) { return kPrecisionRows[static_cast<size_t>(precision)].name; }

TimePrecision precision_from_name(std::string_view name) {
  const auto* found = std::ranges::find(kPrecisionRows, name, &PrecisionRow::name);
  return found == std::end(kPrecisionRows) ? TimePrecision::kSecond
                                           : static_cast<TimePrecision>(found - std::begin(kPrecisionRows));
}

std::string_view source_name(TimeSource source) { return kSourceNames[static_cast<size_t>(source)]; }

TimeSource source_from_name(std::string_view name) {
  const auto* found = std::ranges::find(kSourceNames, name);
  return found == std::end(kSourceNames) ? TimeSource::kOriginal
                                         : static_cast<TimeSource>(found - std::begin(kSourceNames));
}

std::string CaptureTime::iso() const { return with_zone(local, offset_minutes); }

std::string CaptureTime::known_local() const {
  return local.substr(0, kPrecisionRows[static_cast<size_t>(precision)].characters);
}

std::string CaptureTime::known_iso() const {
  return precision < TimePrecision::kMinute ? known_local() : with_zone(known_local(), offset_minutes);
}

std::int64_t CaptureTime::local_seconds() const {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (std::sscanf(local.c_str(), "%4d-%2u-%2uT%2u:%2u:%2u", &year, &month, &day, &hour, &minute, &second) < 3) return 0;
  if (month < 1 || month > 12 || day < 1 || day > 31) return 0;
  // Not year/month/day, which is unspecified for a day that the month lacks.
  using namespace std::chrono;
  const sys_days date = sys_days{std::chrono::year{year} / static_cast<int>(month) / 1} + days{day - 1};
  return sys_seconds{date}.time_since_epoch().count() + hour * 3600 + minute * 60 + second;
}

CaptureTime CaptureTime::later(double seconds) const {
  const std::int64_t whole = local_seconds();
  if (whole == 0 || !(std::abs(seconds) < 1e9)) return *this;
  const size_t dot = local.find('.');
  const double fraction = dot == std::string::npos ? 0 : std::strtod(local.c_str() + dot, nullptr);
  const std::int64_t all = whole * 1000 + std::llround((fraction + seconds) * 1000);
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds(all)};
  const sys_days day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  CaptureTime out = *this;
  out.local = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                          static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                          clock.minutes().count(), clock.seconds().count());
  if (const auto rest = clock.subseconds().count(); rest != 0) out.local += fmt::format(".{:03}", rest);
  return out;
}

std::optional<CaptureTime> capture_time(const TimeParts& parts) {
  using namespace std::chrono;
  constexpr int kFirstPhotograph = 1826, kLastYear = 9999;
  if (parts.year < kFirstPhotograph || parts.year > kLastYear || parts.month < 0 || parts.month > 12)
    return std::nullopt;
  CaptureTime time;
  const bool has_month = parts.month > 0, has_day = has_month && parts.day != 0;
  const year_month_day date{year(parts.year), month(has_month ? static_cast<unsigned>(parts.month) : 1),
                            day(has_day ? static_cast<unsigned>(parts.day) : 1)};
  if (!date.ok()) return std::nullopt;
  const auto within = [](int value, int least, int most) { return value >= least && value <= most; };
  const bool has_clock =
      has_day && within(parts.hour, 0, 23) && within(parts.minute, 0, 59) && within(parts.second, -1, 59);
  const bool has_second = has_clock && parts.second >= 0;
  time.precision = has_second  ? TimePrecision::kSecond
                   : has_clock ? TimePrecision::kMinute
                   : has_day   ? TimePrecision::kDay
                   : has_month ? TimePrecision::kMonth
                               : TimePrecision::kYear;
  time.local = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.year, static_cast<unsigned>(date.month()),
                           static_cast<unsigned>(date.day()), has_clock ? parts.hour : 0, has_clock ? parts.minute : 0,
                           has_second ? parts.second : 0);
  if (has_second && !parts.fraction.empty()) time.local.append(1, '.').append(parts.fraction, 0, 9);
  if (has_clock) time.offset_minutes = parts.offset_minutes;
  return time;
}

}  // namespace image_engine
