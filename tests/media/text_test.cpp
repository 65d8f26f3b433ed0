// Text, times and numbers out of headers: plain facts.
#include "media/text.h"

#include <gtest/gtest.h>

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;

TEST(Text, IsTrimmedCutAtNulAndUtf8) {
  EXPECT_EQ(clean_text("  Canon \0rest"sv), "Canon");
  EXPECT_EQ(clean_text("K\xc3\xb6ln"), "Köln");
  EXPECT_EQ(clean_text("K\xf6ln"), "Köln");
  EXPECT_EQ(clean_text("   "), "");
  EXPECT_EQ(clean_text(""), "");
}

TEST(Text, IsCappedBetweenCharacters) {
  std::string text(kMaxText - 1, 'a');
  text += "\xc3\xb6";
  EXPECT_EQ(clean_text(text), std::string(kMaxText - 1, 'a'));
  EXPECT_EQ(clean_text(std::string(100'000, 'a')).size(), kMaxText);
}

TEST(Text, Utf16BecomesUtf8) {
  EXPECT_EQ(clean_utf16("a\0\xe4\0\0\0x\0"sv, ByteOrder::kLittle), "aä");
  EXPECT_EQ(clean_utf16("\xfe\xff\x65\xe5"sv, ByteOrder::kLittle), "日");
  EXPECT_EQ(clean_utf16("\x3d\xd8\x00\xde"sv, ByteOrder::kLittle), "😀");
  EXPECT_EQ(clean_utf16("\x3d\xd8"sv, ByteOrder::kLittle), "\xef\xbf\xbd");
  EXPECT_EQ(clean_utf16("a"sv, ByteOrder::kLittle), "");
}

TEST(Text, UserCommentsNameTheirCode) {
  EXPECT_EQ(clean_user_comment("ASCII\0\0\0hello"sv, ByteOrder::kLittle), "hello");
  EXPECT_EQ(clean_user_comment("UNICODE\0h\0i\0"sv, ByteOrder::kBig), "hi");
  EXPECT_EQ(clean_user_comment("UNICODE\0\0h\0i"sv, ByteOrder::kLittle), "hi");
  EXPECT_EQ(clean_user_comment("\0\0\0\0\0\0\0\0hello"sv, ByteOrder::kLittle), "hello");
}

TEST(Time, IsReadInAllItsForms) {
  EXPECT_EQ(parse_time("2024:06:01 10:22:03")->iso(), "2024-06-01T10:22:03");
  EXPECT_EQ(parse_time("2024-06-01T10:22:03.12+02:00")->iso(), "2024-06-01T10:22:03.12+02:00");
  EXPECT_EQ(parse_time("2024-06-01T10:22Z")->iso(), "2024-06-01T10:22:00Z");
  EXPECT_EQ(parse_time("2024-06-01")->iso(), "2024-06-01T00:00:00");
  EXPECT_EQ(parse_time("20240601T102203-0530")->iso(), "2024-06-01T10:22:03-05:30");
}

TEST(Time, ThatNoCalendarHasIsNone) {
  for (const auto* text : {"", "0000:00:00 00:00:00", "2024:13:01 10:00:00", "2023:02:29 10:00:00",
                           "    :  :     :  :  ", "yesterday", "2024 pictures", "1825", "Apr 2019", "22 Brumaire 1799"})
    EXPECT_FALSE(parse_time(text)) << text;
  EXPECT_TRUE(parse_time("2024:02:29 10:00:00"));
}

TEST(Time, ThatNoClockHasKeepsItsDay) {
  for (const auto* text : {"2015:08:22 24:08:19", "2015:08:22 25:00:00", "2015:08:22 10:61:00", "2015:08:22 10:22:60",
                           "2015:08:22 10:22:99.5"}) {
    EXPECT_EQ(parse_time(text)->iso(), "2015-08-22T00:00:00") << text;
    EXPECT_EQ(parse_time(text)->precision, TimePrecision::kDay) << text;
  }
}

TEST(Time, KeepsThePartsThatAreKnown) {
  const std::pair<const char*, const char*> kKnown[] = {{"1978", "1978"},
                                                        {"1953-07", "1953-07"},
                                                        {"19530000", "1953"},
                                                        {"19530700", "1953-07"},
                                                        {"1993:00:00 12:00:00", "1993"},
                                                        {"1993:00:05", "1993"},
                                                        {"1993:  :     :  :  ", "1993"},
                                                        {"1993:07:     :  :  ", "1993-07"},
                                                        {"1993:07:05   :  :  ", "1993-07-05"},
                                                        {"1993:07:05 10:  :  ", "1993-07-05"},
                                                        {"1993:07:05 10:22:  ", "1993-07-05T10:22"},
                                                        {"1964-08-12", "1964-08-12"},
                                                        {"2024-06-01T10:22+02:00", "2024-06-01T10:22+02:00"},
                                                        {"2024-06-01T10:22:03Z", "2024-06-01T10:22:03Z"}};
  for (const auto& [text, known] : kKnown) {
    const auto time = parse_time(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(time->known_iso(), known) << text;
  }
}

// Python's email.utils.format_datetime(), time.ctime() and date's forms of one time.
TEST(Time, IsReadInWords) {
  for (const auto* text : {"Mon, 22 Apr 2019 13:15:41 +0200", "22 April 2019 13:15:41 +0200"})
    EXPECT_EQ(parse_time(text)->iso(), "2019-04-22T13:15:41+02:00") << text;
  EXPECT_EQ(parse_time("Mon, 22 Apr 2019 13:15:41 GMT")->iso(), "2019-04-22T13:15:41Z");
  for (const auto* text : {"Mon Apr 22 13:15:41 2019", "Mon 22 Apr 2019 01:15:41 PM CEST", "2019:04:22 01:15:41 pm"})
    EXPECT_EQ(parse_time(text)->iso(), "2019-04-22T13:15:41") << text;
  EXPECT_EQ(parse_time("1 Jan 2001")->known_iso(), "2001-01-01");
}

TEST(Time, OffsetsAreWithinFourteenHours) {
  EXPECT_EQ(parse_offset("+02:00"), 120);
  EXPECT_EQ(parse_offset("-0330"), -210);
  EXPECT_EQ(parse_offset("Z"), 0);
  EXPECT_EQ(parse_offset("+14:00"), 840);
  for (const auto* text : {"", "+15:00", "+14:01", "02:00", "+xx:00", "   :  "})
    EXPECT_FALSE(parse_offset(text)) << text;
}

TEST(Place, Iso6709) {
  EXPECT_EQ(parse_iso6709("+48.1372+011.5755+519.5/"), (Gps{48.1372, 11.5755, 519.5}));
  EXPECT_EQ(parse_iso6709("-33.5-070.25/"), (Gps{-33.5, -70.25, std::nullopt}));
  for (const auto* text : {"", "+91+000/", "+10/", "48.1,11.5", "+nan+nan/", "+10+181/"})
    EXPECT_FALSE(parse_iso6709(text)) << text;
}

TEST(Number, FractionsAndDecimals) {
  EXPECT_EQ(parse_number("10/4"), 2.5);
  EXPECT_EQ(parse_number(" -1 "), -1);
  EXPECT_EQ(parse_number("+2.8"), 2.8);
  for (const auto* text : {"", "1/0", "x", "1/x", "nan", "inf", "1e999", "1 2"})
    EXPECT_FALSE(parse_number(text)) << text;
}

}  // namespace
}  // namespace image_engine::media
