#include "places/places.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <numbers>
#include <random>
#include <utility>

#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::places {
namespace {

class CsvFile : public testing::Test {
 protected:
  Result<PlaceIndex> load(const std::string& text) const {
    return PlaceIndex::create(scratch.write("places.csv", text));
  }
  const Scratch scratch;
  const std::string path = scratch / "places.csv";
};

constexpr char kHeader[] = "lat,lon,name,admin1,admin2,cc\n";

TEST_F(CsvFile, ReadsQuotedFieldsAndEitherLineEnd) {
  const auto index = load(
      "lat,lon,name,admin1,admin2,cc\r\n"
      "10,20,\"Here, there\",\"A \"\"B\"\"\",,DE\r\n"
      "-10.5,-20.25,Plain,,C,FR");
  ASSERT_OK(index);
  EXPECT_EQ(index->size(), 2u);
  EXPECT_EQ(index->skipped_rows(), 0u);
  const auto quoted = index->nearest(10, 20);
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->name, "Here, there");
  EXPECT_EQ(quoted->admin1, "A \"B\"");
  EXPECT_EQ(quoted->admin2, "");
  EXPECT_EQ(quoted->country_code, "DE");
  EXPECT_EQ(quoted->country, "Germany");
  EXPECT_NEAR(quoted->distance_km, 0, 1e-6);
  const auto plain = index->nearest(-10.5, -20.25);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->admin2, "C");
  EXPECT_EQ(plain->country, "France");
}

TEST_F(CsvFile, MalformedRowsAreLeftOutAndCounted) {
  const std::string bad[] = {"1,2,too,few,DE",    "1,2,too,many,fields,here,DE",
                             "x,2,a,b,c,DE",      "1,,a,b,c,DE",
                             "91,2,a,b,c,DE",     "1,-180.5,a,b,c,DE",
                             "nan,2,a,b,c,DE",    "inf,2,a,b,c,DE",
                             "1,2,,b,c,DE",       "1,2,\"open,b,c,DE",
                             "1,2,\"a\"x,b,c,DE", "",
                             "1 ,2,a,b,c,DE",     "1e999,2,a,b,c,DE"};
  std::string text = kHeader;
  for (const auto& row : bad) text += row + "\n5,5,Good,b,c,DE\n";
  const auto index = load(text);
  ASSERT_OK(index);
  EXPECT_EQ(index->skipped_rows(), std::size(bad));
  EXPECT_EQ(index->size(), std::size(bad));
  EXPECT_FALSE(index->nearest(1, 2) && index->nearest(1, 2)->distance_km < 1);
}

TEST_F(CsvFile, WhatIsNoExtractIsRefused) {
  for (const std::string text : {"", "name,lat\n1,2\n", kHeader, "lat,lon,name,admin1,admin2,cc\nx\n"}) {
    const auto index = load(text);
    ASSERT_FALSE(index) << text;
    EXPECT_EQ(index.error().code, ErrorCode::kCorrupt);
  }
  const auto missing = PlaceIndex::create(path + ".none");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
}

TEST_F(CsvFile, RandomBytesAreSurvived) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::string text = kHeader;
    for (int i = 0; i < 400; ++i) text += "0123456789,,,,,\"\"\n\r.-aZ\0\xff"[random() % 26];
    if (const auto index = load(text)) (void)index->nearest(1, 2);
  }
}

TEST_F(CsvFile, PolesAndAntimeridianHaveNoEdge) {
  const auto index = load(std::string(kHeader) +
                          "89.9,0,North,,,NO\n-89.9,170,South,,,AQ\n0,179.9,East,,,KI\n10,-180,Line,,,FJ\n"
                          "20,180,Other line,,,FJ\n89.0,-90,Near north,,,CA\n");
  ASSERT_OK(index);
  const auto name = [&](double latitude, double longitude) {
    const auto place = index->nearest(latitude, longitude);
    return place ? place->name : "";
  };
  for (double longitude = -180; longitude <= 180; longitude += 45) {
    EXPECT_EQ(name(90, longitude), "North") << longitude;
    EXPECT_EQ(name(89.95, longitude), "North") << longitude;
    EXPECT_EQ(name(-90, longitude), "South") << longitude;
  }
  EXPECT_EQ(name(89.2, -90), "Near north");
  EXPECT_EQ(name(0, -179.9), "East");
  EXPECT_EQ(name(0.1, 180), "East");
  EXPECT_EQ(name(0.1, -180), "East");
  EXPECT_EQ(name(10, 179.5), "Line");
  EXPECT_EQ(name(20, -179.5), "Other line");
}

TEST_F(CsvFile, FartherThanAHundredKilometresIsNothing) {
  const auto index = load(std::string(kHeader) + "0,0,Null,,,GH\n");
  ASSERT_TRUE(index);
  // On a sphere of 6371.0088 km a degree along the equator is 111.195 km.
  ASSERT_TRUE(index->nearest(0, 0.899));
  EXPECT_NEAR(index->nearest(0, 0.899)->distance_km, 0.899 * 111.195, 0.01);
  EXPECT_FALSE(index->nearest(0, 0.9));
  EXPECT_TRUE(index->nearest(-0.899, 0));
  EXPECT_FALSE(index->nearest(-0.9, 0));
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  for (const auto& [latitude, longitude] :
       {std::pair{nan, 0.0}, {0.0, nan}, {infinity, 0.0}, {0.0, 180.01}, {90.1, 0.0}})
    EXPECT_FALSE(index->nearest(latitude, longitude));
}

TEST(CountryName, FollowsIso3166) {
  EXPECT_EQ(country_name("DE"), "Germany");
  EXPECT_EQ(country_name("FJ"), "Fiji");
  EXPECT_EQ(country_name("AD"), "Andorra");
  EXPECT_EQ(country_name("ZW"), "Zimbabwe");
  EXPECT_EQ(country_name("XK"), "Kosovo");
  for (const auto* unknown : {"", "de", "ZZ", "D", "DEU"}) EXPECT_EQ(country_name(unknown), "");
}

// The extract that tools/setup.sh puts beside the build folders.
class Extract : public testing::Test {
 protected:
  static std::string path() { return executable_folder() + "/../../share/places.csv"; }

  static void SetUpTestSuite() {
    if (auto made = PlaceIndex::create(path())) index = new PlaceIndex(std::move(*made));
  }
  static void TearDownTestSuite() { delete std::exchange(index, nullptr); }
  void SetUp() override {
    if (index == nullptr) GTEST_SKIP() << "no place names at " << path() << ": tools/setup.sh fetches them";
  }

  static inline PlaceIndex* index = nullptr;
};

TEST_F(Extract, HoldsEveryRow) {
  EXPECT_GT(index->size(), 140'000u);
  EXPECT_LT(index->skipped_rows(), 10u);
}

TEST_F(Extract, KnowsTheWorldsCities) {
  const struct {
    double latitude, longitude;
    std::string_view name, country;
  } cities[] = {
      {48.8530, 2.3498, "Paris", "France"},
      {48.1374, 11.5755, "Munich", "Germany"},
      {40.7128, -74.0060, "New York City", "United States"},
      {-33.8688, 151.2093, "Sydney", "Australia"},
      {-18.1416, 178.4419, "Suva", "Fiji"},
      {64.1466, -21.9426, "Reykjavik", "Iceland"},
      {-54.8019, -68.3030, "Ushuaia", "Argentina"},
      {78.2232, 15.6267, "Longyearbyen", "Svalbard and Jan Mayen"},
  };
  for (const auto& city : cities) {
    const auto place = index->nearest(city.latitude, city.longitude);
    ASSERT_TRUE(place) << city.name;
    EXPECT_EQ(place->name, city.name);
    EXPECT_EQ(place->country, city.country);
    EXPECT_LT(place->distance_km, 5) << city.name;
  }
}

TEST_F(Extract, TheSeaAndThePolesAreNowhere) {
  for (const auto& [latitude, longitude] :
       {std::pair{0.0, -30.0}, {-48.8767, -123.3933}, {90.0, 0.0}, {-90.0, 180.0}, {30.0, -45.0}, {0.0, 180.0}})
    EXPECT_FALSE(index->nearest(latitude, longitude)) << latitude << ", " << longitude;
}

TEST_F(Extract, EqualsASearchOfEveryRow) {
  struct Row {
    double latitude, longitude;
    std::array<double, 3> position;
    std::string line;
  };
  constexpr double kRadians = std::numbers::pi / 180;
  const auto on_sphere = [](double latitude, double longitude) {
    return std::array{std::cos(latitude * kRadians) * std::cos(longitude * kRadians),
                      std::cos(latitude * kRadians) * std::sin(longitude * kRadians), std::sin(latitude * kRadians)};
  };
  std::vector<Row> rows;
  std::ifstream file(path());
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    char* end = nullptr;
    const double latitude = std::strtod(line.c_str(), &end), longitude = std::strtod(end + 1, &end);
    const bool named = !std::string_view(end).starts_with(",,");
    if (named) rows.push_back({latitude, longitude, on_sphere(latitude, longitude), line});
  }
  ASSERT_EQ(rows.size(), index->size());

  std::mt19937 random(11);
  std::uniform_real_distribution<double> unit(-1, 1);
  int found = 0;
  for (int i = 0; i < 1000; ++i) {
    double latitude = std::asin(unit(random)) / kRadians, longitude = unit(random) * 180;
    if (i % 2 == 0) {
      const Row& near = rows[random() % rows.size()];
      latitude = std::clamp(near.latitude + unit(random), -90.0, 90.0);
      longitude = std::remainder(near.longitude + unit(random) * 2, 360);
    }
    const auto here = on_sphere(latitude, longitude);
    const Row* best = nullptr;
    double best_cosine = -2;
    for (const auto& row : rows) {
      const double cosine = here[0] * row.position[0] + here[1] * row.position[1] + here[2] * row.position[2];
      if (cosine > best_cosine) best = &row, best_cosine = cosine;
    }
    const double half_phi = (best->latitude - latitude) * kRadians / 2;
    const double half_lambda = (best->longitude - longitude) * kRadians / 2;
    const double haversine = std::pow(std::sin(half_phi), 2) + std::cos(latitude * kRadians) *
                                                                   std::cos(best->latitude * kRadians) *
                                                                   std::pow(std::sin(half_lambda), 2);
    const double distance = 2 * 6371.0088 * std::asin(std::sqrt(haversine));
    const auto place = index->nearest(latitude, longitude);
    ASSERT_EQ(place.has_value(), distance <= kMaxDistanceKm) << latitude << ", " << longitude << ": " << best->line;
    if (!place) continue;
    ++found;
    EXPECT_NEAR(place->distance_km, distance, 0.001) << best->line;
    // Some towns share their coordinates: any of them will do.
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(),
                            [&](const Row& row) {
                              return row.position == best->position && row.line.find(place->name) != std::string::npos;
                            }))
        << place->name << " is not " << best->line;
  }
  EXPECT_GT(found, 500);
  EXPECT_LT(found, 1000);
}

TEST(Countries, AreKnownByTheirNamesAndByUsualOthers) {
  for (const auto& [name, code] : {std::pair{"Italy", "IT"},
                                   {"italy", "IT"},
                                   {"USA", "US"},
                                   {"Scotland", "GB"},
                                   {"Österreich", "AT"},
                                   {"Atlantis", ""},
                                   {"", ""}})
    EXPECT_EQ(country_code(name), code) << name;
}

}  // namespace
}  // namespace image_engine::places
