#include "types/metadata.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace image_engine {
namespace {

// The seconds are those of Python's calendar.timegm.
TEST(CaptureTime, LocalSecondsAreThoseOfTheCalendar) {
  const auto seconds = [](const char* local) {
    CaptureTime time;
    time.local = local;
    return time.local_seconds();
  };
  EXPECT_EQ(seconds("2000-01-01T00:00:00"), 946684800);
  EXPECT_EQ(seconds("2024-02-29T12:00:00.25"), 1709208000);
  EXPECT_EQ(seconds("1969-12-31T23:59:59"), -1);
  EXPECT_EQ(seconds("1900-03-01"), -2203891200);
  EXPECT_EQ(seconds("1826-01-01T00:00:00"), -4544208000);
  EXPECT_EQ(seconds("9999-12-31T23:59:59"), 253402300799);
  EXPECT_EQ(seconds("2023-02-31T00:00:00"), 1677801600) << "of the day that many days after the month's first";
  for (const char* no_date : {"", "2023", "2023-13-01", "2023-00-01", "2023-01-00", "2023-01-32", "then"})
    EXPECT_EQ(seconds(no_date), 0) << no_date;
}

// Python: datetime.fromisoformat(…) + timedelta(seconds=…).
TEST(CaptureTime, LaterIsThatManySecondsAfterItAtTheSameOffset) {
  const auto later = [](const char* local, double seconds, std::optional<std::int32_t> offset = {}) {
    return CaptureTime{local, offset}.later(seconds).iso();
  };
  EXPECT_EQ(later("2024-06-01T10:22:03", 0), "2024-06-01T10:22:03");
  EXPECT_EQ(later("2024-06-01T10:22:03", 1.5), "2024-06-01T10:22:04.500");
  EXPECT_EQ(later("2024-06-01T10:22:03.750", 0.25), "2024-06-01T10:22:04");
  EXPECT_EQ(later("2023-12-31T23:59:59", 2, 120), "2024-01-01T00:00:01+02:00");
  EXPECT_EQ(later("2024-02-28T23:00:00", 3600, 0), "2024-02-29T00:00:00Z");
  EXPECT_EQ(later("1969-12-31T23:59:58", 1), "1969-12-31T23:59:59");
  EXPECT_EQ(later("then", 1), "then");
  EXPECT_EQ(later("2024-06-01T10:22:03", 1e300), "2024-06-01T10:22:03");
}

TEST(CaptureTime, IsMadeOfThePartsThatAreKnown) {
  const auto known = [](const TimeParts& parts) {
    const auto time = capture_time(parts);
    return time ? time->known_iso() : std::string();
  };
  EXPECT_EQ(known({.year = 1953}), "1953");
  EXPECT_EQ(known({.year = 1953, .day = 4}), "1953");
  EXPECT_EQ(known({.year = 1953, .month = 7}), "1953-07");
  EXPECT_EQ(known({.year = 1953, .month = 7, .day = 4, .hour = 10}), "1953-07-04");
  EXPECT_EQ(known({.year = 1953, .month = 7, .day = 4, .hour = 10, .minute = 2}), "1953-07-04T10:02");
  EXPECT_EQ(known({.year = 2020, .month = 2, .day = 29, .hour = 0, .minute = 0, .second = 0, .offset_minutes = 60}),
            "2020-02-29T00:00:00+01:00");
  EXPECT_EQ(known({.year = 2020, .month = 2, .day = 29, .hour = 24, .minute = 0, .second = 0, .offset_minutes = 60}),
            "2020-02-29");
  EXPECT_EQ(known({.year = 2021, .month = 2, .day = 29}), "");
  EXPECT_EQ(known({.year = 2021, .month = 13}), "");
  EXPECT_EQ(known({.year = 1825}), "");
}

TEST(Metadata, SaysHowFarAndWhereFromItsTimeIsKnown) {
  Metadata metadata;
  metadata.taken = CaptureTime{"1953-07-01T00:00:00", {}, TimePrecision::kMonth, TimeSource::kName};
  const nlohmann::json json = metadata;
  EXPECT_EQ(json["taken"], "1953-07-01T00:00:00");
  EXPECT_EQ(json["taken_precision"], "month");
  EXPECT_EQ(json["taken_from"], "name");
  EXPECT_EQ(json.get<Metadata>().taken, metadata.taken);
  metadata.taken = CaptureTime{"2020-01-01T10:00:00", 60};
  EXPECT_FALSE(nlohmann::json(metadata).contains("taken_precision"));
  EXPECT_EQ(nlohmann::json(metadata)["taken_from"], "original");
}

TEST(Metadata, DegreesHaveSevenDigitsAtMost) {
  Metadata metadata;
  metadata.gps = Gps{43.07640000000001, -79.07700000000004, 1.0 / 3};
  EXPECT_EQ(nlohmann::json(metadata)["gps"].dump(), R"({"altitude":0.3333333,"lat":43.0764,"lon":-79.077})");
}

}  // namespace
}  // namespace image_engine
