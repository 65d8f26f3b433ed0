// EXIF, XMP and IPTC against exiftool's reading of the same files.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>
#include <optional>
#include <string>

#include "tests/media/inputs.h"
#include "tests/support/ok.h"

namespace image_engine::media {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// exiftool's value by the first of these keys that is there; null else.
nlohmann::json first(const nlohmann::json& tags, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (tags.contains(key)) return tags[key];
  return nullptr;
}

std::string trimmed(const nlohmann::json& value) {
  // exiftool prints a name made of digits as a number.
  const std::string text = value.is_string() ? std::string(value) : value.is_null() ? "" : value.dump();
  const auto end = text.find_last_not_of(' ');
  return end == text.npos ? "" : text.substr(text.find_first_not_of(' '), end + 1 - text.find_first_not_of(' '));
}

void expect_number(const std::optional<double>& ours, const nlohmann::json& theirs, const char* what) {
  if (!theirs.is_number() || double(theirs) == 0) return;
  ASSERT_TRUE(ours) << what;
  EXPECT_NEAR(*ours, double(theirs), std::abs(double(theirs)) * 1e-4) << what;
}

// "2024:06:01 10:22:03" as ours without fraction and zone.
std::string iso(std::string time) {
  if (time.size() < 19) return time;
  time[4] = time[7] = '-', time[10] = 'T';
  return time.substr(0, 19);
}

TEST(Tags, AgreeWithExiftool) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  ASSERT_GE(manifest()["tags"].size(), 30U);
  int times = 0, places = 0, ratings = 0;
  for (const auto& entry : manifest()["tags"]) {
    const std::string name = entry["file"];
    const auto& tags = entry["exiftool"];
    SCOPED_TRACE(name);
    const auto metadata = read_metadata(load(name), {});
    ASSERT_OK(metadata);

    EXPECT_EQ(metadata->make, trimmed(first(tags, {"IFD0:Make"})));
    EXPECT_EQ(metadata->model, trimmed(first(tags, {"IFD0:Model"})));
    if (tags.contains("ExifIFD:LensModel")) {
      EXPECT_EQ(metadata->lens, trimmed(tags["ExifIFD:LensModel"]));
    }
    expect_number(metadata->iso, first(tags, {"ExifIFD:ISO"}), "ISO");
    expect_number(metadata->f_number, first(tags, {"ExifIFD:FNumber"}), "f-number");
    expect_number(metadata->exposure_time, first(tags, {"ExifIFD:ExposureTime"}), "exposure time");
    expect_number(metadata->focal_length, first(tags, {"ExifIFD:FocalLength"}), "focal length");
    expect_number(metadata->focal_length_35, first(tags, {"ExifIFD:FocalLengthIn35mmFormat"}), "focal length 35");
    expect_number(metadata->exposure_bias, first(tags, {"ExifIFD:ExposureCompensation"}), "bias");
    if (tags.contains("ExifIFD:Flash")) {
      EXPECT_EQ(metadata->flash, (int(tags["ExifIFD:Flash"]) & 1) != 0);
    }

    const auto time = first(tags, {"ExifIFD:DateTimeOriginal", "XMP-exif:DateTimeOriginal", "ExifIFD:CreateDate"});
    if (time.is_string() && !std::string(time).starts_with("0000")) {
      ASSERT_TRUE(metadata->taken);
      EXPECT_EQ(metadata->taken->local.substr(0, 19), iso(time));
      ++times;
    }
    if (tags.contains("GPS:GPSLatitude") && tags.contains("GPS:GPSLongitude")) {
      ASSERT_TRUE(metadata->gps);
      const bool south = first(tags, {"GPS:GPSLatitudeRef"}) == "S", west = first(tags, {"GPS:GPSLongitudeRef"}) == "W";
      EXPECT_NEAR(metadata->gps->latitude, double(tags["GPS:GPSLatitude"]) * (south ? -1 : 1), 1e-6);
      EXPECT_NEAR(metadata->gps->longitude, double(tags["GPS:GPSLongitude"]) * (west ? -1 : 1), 1e-6);
      if (tags.contains("GPS:GPSAltitude") && tags["GPS:GPSAltitude"].is_number()) {
        const bool below = first(tags, {"GPS:GPSAltitudeRef"}) == 1;
        EXPECT_NEAR(metadata->gps->altitude.value_or(0), double(tags["GPS:GPSAltitude"]) * (below ? -1 : 1), 1e-3);
      }
      ++places;
    }
    if (tags.contains("XMP-xmp:Rating")) {
      EXPECT_EQ(metadata->rating, int(tags["XMP-xmp:Rating"]));
      ++ratings;
    }
    const auto keywords = first(tags, {"XMP-dc:Subject", "IPTC:Keywords"});
    if (!keywords.is_null()) {
      std::vector<std::string> expected;
      if (keywords.is_array()) expected = keywords.get<std::vector<std::string>>();
      if (keywords.is_string()) expected = {std::string(keywords)};
      EXPECT_EQ(metadata->keywords, expected);
    }
    for (const auto& [ours, theirs] :
         {std::pair{metadata->title, first(tags, {"XMP-dc:Title", "IPTC:ObjectName", "IFD0:XPTitle"})},
          {metadata->description, first(tags, {"XMP-dc:Description", "IPTC:Caption-Abstract"})},
          {metadata->copyright, first(tags, {"XMP-dc:Rights", "IFD0:Copyright", "IPTC:CopyrightNotice"})}})
      if (theirs.is_string()) {
        EXPECT_EQ(ours, trimmed(theirs));
      }
  }
  EXPECT_GE(times, 20);
  EXPECT_GE(places, 10);
  EXPECT_GE(ratings, 8);
}

TEST(Tags, TimeKeepsFractionAndZone) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto metadata = read_metadata(load("tags_0.jpg"), {});
  ASSERT_TRUE(metadata && metadata->taken);
  EXPECT_EQ(metadata->taken->local, "2024-06-01T10:22:03.120");
  EXPECT_EQ(metadata->taken->offset_minutes, 120);
}

TEST(Tags, EveryFieldOfXmpArrives) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  for (const auto* name : {"tags_4.jpg", "tags_4.png", "tags_4.tif", "tags_4.webp", "tags_4.heic", "tags_4.avif"}) {
    SCOPED_TRACE(name);
    const auto metadata = read_metadata(load(name), {});
    ASSERT_OK(metadata);
    EXPECT_EQ(metadata->rating, 4);
    EXPECT_THAT(metadata->keywords, ElementsAre("beach", "Köln"));
    EXPECT_EQ(metadata->title, "Ein Titel");
    EXPECT_EQ(metadata->description, "日本語");
    EXPECT_EQ(metadata->creator, "A. Person");
    EXPECT_EQ(metadata->label, "Red");
  }
}

TEST(Tags, OldEncodingsBecomeUtf8) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  EXPECT_THAT(read_metadata(load("tags_10.jpg"), {})->keywords, ElementsAre("München"));
  const auto windows = read_metadata(load("tags_11.jpg"), {});
  EXPECT_THAT(windows->keywords, ElementsAre("alpha", "beta"));
  EXPECT_EQ(windows->title, "Windows Titel ä");
  EXPECT_EQ(read_metadata(load("tags_12.jpg"), {})->description, "A user's comment é");
}

TEST(Tags, IptcHasATimeAndItsZone) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto metadata = read_metadata(load("tags_9.jpg"), {});
  ASSERT_TRUE(metadata && metadata->taken);
  EXPECT_EQ(metadata->taken->iso(), "2001-02-03T04:05:06Z");
}

constexpr std::string_view kSidecar =
    R"(<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmp:Rating="5" exif:GPSLatitude="48,8.2333N" exif:GPSLongitude="11,34,32W"
 exif:GPSAltitude="5195/10" exif:GPSAltitudeRef="0">
<dc:subject><rdf:Bag><rdf:li>mine</rdf:li><rdf:li>mine</rdf:li><rdf:li>  </rdf:li></rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta>)";

TEST(Tags, ASidecarWins) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto metadata = read_metadata(load("tags_4.jpg"), as_bytes(kSidecar));
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->rating, 5);
  EXPECT_THAT(metadata->keywords, ElementsAre("mine"));
  EXPECT_EQ(metadata->title, "Ein Titel");  // the sidecar has none
  ASSERT_TRUE(metadata->gps);
  EXPECT_NEAR(metadata->gps->latitude, 48 + 8.2333 / 60, 1e-9);
  EXPECT_NEAR(metadata->gps->longitude, -(11 + 34.0 / 60 + 32.0 / 3600), 1e-9);
  EXPECT_EQ(metadata->gps->altitude, 519.5);
}

std::string sidecar_of(std::string_view attribute) {
  return fmt::format(R"(<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF )"
                     R"(xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" )"
                     R"(xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" )"
                     R"(xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" {}/></rdf:RDF></x:xmpmeta>)",
                     attribute);
}

TEST(Tags, ATimesRankIsItsTagsInFileAndSidecar) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto taken = [](const char* name, std::string_view attribute) {
    const auto metadata = read_metadata(load(name), as_bytes(sidecar_of(attribute)));
    return metadata && metadata->taken ? metadata->taken->iso() : std::string();
  };
  // The file: DateTimeOriginal.
  EXPECT_EQ(taken("tags_6.jpg", R"(xmp:CreateDate="2024-08-10T21:43:21")"), "1999-01-02T03:04:05");
  // The file: DateTimeDigitized.
  EXPECT_EQ(taken("tags_7.jpg", R"(photoshop:DateCreated="1964-08-12")"), "1964-08-12T00:00:00");
  EXPECT_EQ(taken("tags_7.jpg", R"(xmp:CreateDate="2024-08-10T21:43:21")"), "2010-10-10T10:10:10");
  // The file: IPTC's DateCreated.
  EXPECT_EQ(taken("tags_9.jpg", R"(photoshop:DateCreated="1964-08-12")"), "2001-02-03T04:05:06Z");
  // The file: none.
  EXPECT_EQ(taken("tags_3.jpg", R"(exif:DateTimeDigitized="2011-01-02T03:04:05")"), "2011-01-02T03:04:05");
}

TEST(Tags, ABrokenSidecarIsAWarning) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto metadata = read_metadata(load("tags_4.jpg"), as_bytes("<x:xmpmeta nonsense"));
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->rating, 4);
  EXPECT_THAT(metadata->warnings, testing::Not(IsEmpty()));
}

TEST(Tags, ARawFileHasThem) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto metadata = read_metadata(load("raw.dng"), {});
  ASSERT_OK(metadata);
  EXPECT_EQ(metadata->format, MediaFormat::kDng);
  EXPECT_EQ(metadata->make, "Maker");
  EXPECT_EQ(metadata->model, "Camera One");
  EXPECT_EQ(metadata->orientation, 6U);
}

}  // namespace
}  // namespace image_engine::media
