// Positions and times as writers have them, in JPEG headers made here. The right values are calculated by hand.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "media/media.h"
#include "tests/support/ok.h"

namespace image_engine::media {
namespace {

using namespace std::string_literals;
using Angle = std::array<std::uint32_t, 6>;  // degrees, minutes, seconds, each a numerator and a denominator

std::string little(std::uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

std::string segment(char marker, const std::string& payload) {
  const size_t length = payload.size() + 2;
  return "\xFF"s + marker + static_cast<char>(length >> 8) + static_cast<char>(length & 0xFF) + payload;
}

// A JPEG of 8 × 8 without a scan.
std::string jpeg(const std::string& segments) {
  return "\xFF\xD8" + segments + segment('\xC0', "\x08\0\x08\0\x08\x01\x01\x11\0"s) + "\xFF\xD9";
}

std::string angle_bytes(const Angle& angle) {
  std::string out;
  for (const std::uint32_t part : angle) out += little(part, 4);
  return out;
}

std::string exif(const Angle& latitude, char north, const Angle& longitude, char east) {
  constexpr std::uint32_t kGps = 26, kAscii = 2, kLong = 4, kRational = 5, kValues = kGps + 2 + 4 * 12 + 4;
  const auto entry = [](std::uint32_t tag, std::uint32_t type, std::uint32_t count, std::uint32_t value) {
    return little(tag, 2) + little(type, 2) + little(count, 4) + little(value, 4);
  };
  const auto letter = [](char c) { return static_cast<std::uint32_t>(static_cast<unsigned char>(c)); };
  const std::string tiff = "II*\0"s + little(8, 4) + little(1, 2) + entry(0x8825, kLong, 1, kGps) + little(0, 4) +
                           little(4, 2) + entry(1, kAscii, 2, letter(north)) + entry(2, kRational, 3, kValues) +
                           entry(3, kAscii, 2, letter(east)) + entry(4, kRational, 3, kValues + 24) + little(0, 4) +
                           angle_bytes(latitude) + angle_bytes(longitude);
  return segment('\xE1', "Exif\0\0"s + tiff);
}

std::string xmp(const std::string& attributes) {
  return segment('\xE1', "http://ns.adobe.com/xap/1.0/\0"s +
                             R"(<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF )"
                             R"(xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" )"
                             R"(xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" )"
                             R"(xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" )" +
                             attributes + "/></rdf:RDF></x:xmpmeta>");
}

Metadata read(const std::string& segments) {
  const std::string file = jpeg(segments);
  const auto metadata = read_metadata(std::as_bytes(std::span(file)), {});
  EXPECT_OK(metadata);
  return metadata ? *metadata : Metadata{};
}

void expect_place(const Metadata& metadata, double latitude, double longitude) {
  ASSERT_TRUE(metadata.gps);
  EXPECT_NEAR(metadata.gps->latitude, latitude, 1e-6);
  EXPECT_NEAR(metadata.gps->longitude, longitude, 1e-6);
}

constexpr Angle kSantiagoSouth{33, 1, 51, 1, 30, 1}, kSantiagoWest{70, 1, 40, 1, 0, 1};
constexpr Angle kZero{0, 1, 0, 1, 0, 1}, kUndefined{0, 0, 0, 0, 0, 0};
constexpr const char* kFalls = R"(exif:GPSLatitude="43,4.584N" exif:GPSLongitude="79,4.62W")";

TEST(Position, TheReferenceMayBeInLowerCase) {
  expect_place(read(exif(kSantiagoSouth, 'S', kSantiagoWest, 'W')), -33.858333, -70.666667);
  expect_place(read(exif(kSantiagoSouth, 's', kSantiagoWest, 'w')), -33.858333, -70.666667);
  expect_place(read(exif(kSantiagoSouth, 'n', kSantiagoWest, 'e')), 33.858333, 70.666667);
}

TEST(Position, OfXmpMayBeInDegrees) {
  expect_place(read(xmp(kFalls)), 43.0764, -79.077);
  expect_place(read(xmp(R"(exif:GPSLatitude="43,4.584n" exif:GPSLongitude="79,4.62w")")), 43.0764, -79.077);
  expect_place(read(xmp(R"(exif:GPSLatitude="-33.5" exif:GPSLongitude="70.25W")")), -33.5, -70.25);
  expect_place(read(xmp(R"(exif:GPSLatitude="33.5" exif:GPSLatitudeRef="S" exif:GPSLongitude="70.25")")), -33.5, 70.25);
  // A sign and a letter say the same.
  expect_place(read(xmp(R"(exif:GPSLatitude="-33.5" exif:GPSLatitudeRef="S" exif:GPSLongitude="-70.25W")")), -33.5,
               -70.25);
}

TEST(Position, OfXmpIsUsedWhereExifHasNone) {
  expect_place(read(exif(kUndefined, 'N', kUndefined, 'E') + xmp(kFalls)), 43.0764, -79.077);
  expect_place(read(exif(kZero, 'N', kZero, 'E') + xmp(kFalls)), 43.0764, -79.077);
  expect_place(read(exif({95, 1, 0, 1, 0, 1}, 'N', kZero, 'E') + xmp(kFalls)), 43.0764, -79.077);
  // EXIF's is used where both have one.
  expect_place(read(exif(kSantiagoSouth, 'S', kSantiagoWest, 'W') + xmp(kFalls)), -33.858333, -70.666667);
}

TEST(Position, OfAnUnsetReceiverIsNone) {
  const Metadata metadata = read(exif(kZero, 'N', kZero, 'E'));
  EXPECT_FALSE(metadata.gps);
  EXPECT_EQ(metadata.warnings, std::vector<std::string>{});
  // Places on the equator and on the prime meridian are real.
  expect_place(read(exif(kZero, 'N', kSantiagoWest, 'W')), 0, -70.666667);
}

TEST(Position, AWarningNamesTheFault) {
  const auto only = [](const std::string& segments) {
    const Metadata metadata = read(segments);
    EXPECT_FALSE(metadata.gps);
    return metadata.warnings.size() == 1 ? metadata.warnings[0] : fmt::format("{} warnings", metadata.warnings.size());
  };
  EXPECT_EQ(only(exif(kUndefined, 'N', kUndefined, 'E')), "the GPS position is not a number");
  EXPECT_EQ(only(exif({95, 1, 0, 1, 0, 1}, 'N', kZero, 'E')), "the GPS position is not a place on Earth");
  EXPECT_EQ(only(xmp(R"(exif:GPSLatitude="north" exif:GPSLongitude="1E")")), "the GPS position is not a number");
  EXPECT_EQ(only(xmp(R"(exif:GPSLatitude="1N")")), "the GPS position has no longitude");
  EXPECT_EQ(only(xmp(R"(exif:GPSLongitude="1E")")), "the GPS position has no latitude");
}

std::string taken(const std::string& segments) {
  const Metadata metadata = read(segments);
  return metadata.taken ? metadata.taken->known_iso() : std::string();
}

// A GPS directory with the receiver's day and, unless it is empty, its time as six numbers.
std::string gps_time(const std::vector<std::uint32_t>& clock) {
  constexpr std::uint32_t kGps = 26;
  const auto entries = clock.empty() ? 1U : 2U;
  const std::uint32_t text = kGps + 2 + 12 * entries + 4, numbers = text + 12;
  std::string tiff = "II*\0"s + little(8, 4) + little(1, 2) + little(0x8825, 2) + little(4, 2) + little(1, 4) +
                     little(kGps, 4) + little(0, 4) + little(entries, 2);
  if (!clock.empty()) tiff += little(7, 2) + little(5, 2) + little(3, 4) + little(numbers, 4);
  tiff += little(29, 2) + little(2, 2) + little(11, 4) + little(text, 4) + little(0, 4) + "2022:02:03\0\0"s;
  for (const std::uint32_t number : clock) tiff += little(number, 4);
  return segment('\xE1', "Exif\0\0"s + tiff);
}

// exiftool's Composite:GPSDateTime of the same file is "2022:02:03 09:08:07Z".
TEST(Position, ItsDayAndTimeAreATimeInUtc) {
  EXPECT_EQ(taken(gps_time({9, 1, 8, 1, 7, 1})), "2022-02-03T09:08:07Z");
  EXPECT_EQ(taken(gps_time({9, 1, 8, 1, 15, 2})), "2022-02-03T09:08:07.500Z");
  EXPECT_EQ(taken(gps_time({9, 1, 8, 1, 7, 0})), "2022-02-03") << "0/0 is no number";
  EXPECT_EQ(taken(gps_time({})), "2022-02-03");
  EXPECT_EQ(read(gps_time({})).taken->source, TimeSource::kGps);
}

std::string iptc(const std::string& iim) {
  const auto size = static_cast<char>(iim.size());
  return segment('\xED', "Photoshop 3.0\0"s + "8BIM\x04\x04\0\0\0\0\0"s + size + iim + (iim.size() % 2 ? "\0"s : ""s));
}

TEST(Time, OfAYearOrAMonthAloneIsKept) {
  EXPECT_EQ(taken(xmp(R"(photoshop:DateCreated="1978")")), "1978");
  EXPECT_EQ(taken(xmp(R"(photoshop:DateCreated="1953-07")")), "1953-07");
  EXPECT_EQ(taken(iptc("\x1C\x02\x37\0\x08"s + "19530000")), "1953");
  EXPECT_EQ(taken(iptc("\x1C\x02\x37\0\x08"s + "19530700")), "1953-07");
  EXPECT_EQ(taken(xmp(R"(exif:DateTimeOriginal="1993:00:00 12:00:00")")), "1993");
  EXPECT_EQ(taken(xmp(R"(exif:DateTimeOriginal="0000:00:00 00:00:00" photoshop:DateCreated="1978")")), "1978");
}

TEST(Time, SaysWhatItIsFrom) {
  const auto source = [](const std::string& segments) { return read(segments).taken->source; };
  EXPECT_EQ(source(xmp(R"(photoshop:DateCreated="1978" xmp:CreateDate="2020-01-01")")), TimeSource::kOriginal);
  EXPECT_EQ(source(xmp(R"(xmp:CreateDate="2020-01-01")")), TimeSource::kDigitized);
  EXPECT_EQ(source(xmp(R"(exif:GPSTimeStamp="2020-01-01T10:00:00Z")")), TimeSource::kGps);
}

TEST(Time, OfIptcsDigitalCreation) {
  EXPECT_EQ(taken(iptc("\x1C\x02\x3E\0\x08"s + "19990714" + "\x1C\x02\x3F\0\x0B"s + "101500+0100")),
            "1999-07-14T10:15:00+01:00");
}

}  // namespace
}  // namespace image_engine::media
