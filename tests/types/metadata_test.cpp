#include "types/metadata.h"

#include <gtest/gtest.h>

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

TEST(Metadata, DegreesHaveSevenDigitsAtMost) {
  Metadata metadata;
  metadata.gps = Gps{43.07640000000001, -79.07700000000004, std::nullopt};
  EXPECT_EQ(nlohmann::json(metadata)["gps"].dump(), R"({"lat":43.0764,"lon":-79.077})");
}

}  // namespace
}  // namespace image_engine
