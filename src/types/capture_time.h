// When a picture, a video or sound was taken, as far as that is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace image_engine {

// The smallest part of a time that is known.
enum class TimePrecision : std::uint8_t { kYear, kMonth, kDay, kMinute, kSecond };
// "year", "month", "day", "minute", "second".
std::string_view precision_name(TimePrecision precision);
// kSecond for other names.
TimePrecision precision_from_name(std::string_view name);

// What a time is known from: a tag that states when it was taken, when it was digitized, the GPS receiver's clock, or
// when the file was last changed; or the file's name.
enum class TimeSource : std::uint8_t { kOriginal, kDigitized, kGps, kModified, kName };
// "original", "digitized", "gps", "modified", "name".
std::string_view source_name(TimeSource source);
// kOriginal for other names.
TimeSource source_from_name(std::string_view name);

// By the camera's clock. A missing time zone stays missing.
struct CaptureTime {
  std::string local;                                 // "2024-06-01T10:22:03" or with a fraction "…03.120"
  std::optional<std::int32_t> offset_minutes;        // east of UTC, −14·60…14·60
  TimePrecision precision = TimePrecision::kSecond;  // parts of `local` below it are their first: January, the 1st, 0
  TimeSource source = TimeSource::kOriginal;

  bool operator==(const CaptureTime&) const = default;
  // ISO 8601: `local` followed by "+02:00", "Z" (offset 0) or nothing.
  [[nodiscard]] std::string iso() const;
  // The parts of `local` that are known: "1953", "1953-07", "1953-07-04", "1953-07-04T10:22".
  [[nodiscard]] std::string known_local() const;
  // The same, with the zone behind a time of day.
  [[nodiscard]] std::string known_iso() const;
  // Seconds since 1970 of the local time read as if it were UTC: for ordering and ranges. 0 on a malformed `local`.
  [[nodiscard]] std::int64_t local_seconds() const;
  // The time that many seconds after it, to whole milliseconds, at the same offset; itself on a malformed `local`.
  [[nodiscard]] CaptureTime later(double seconds) const;
};

// As written somewhere. Parts that are not known: 0 for month and day, −1 for the time of day.
struct TimeParts {
  int year = 0, month = 0, day = 0;
  int hour = -1, minute = -1, second = -1;
  std::string fraction;  // digits of the second
  std::optional<std::int32_t> offset_minutes;
};

// nullopt for a day or month that no calendar has, and for years before photography (1826). What is behind an unknown
// part is ignored, and so is a time of day that no clock has, such as hour 24 or second 60.
std::optional<CaptureTime> capture_time(const TimeParts& parts);

}  // namespace image_engine
