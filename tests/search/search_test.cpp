#include "search/search.h"

#include <gmock/gmock.h>

#include <map>
#include <random>

#include "tests/search/fixture.h"

namespace image_engine::search {
namespace {

using store::Why;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct Photo {
  std::string name;
  Metadata metadata;
  std::optional<store::Place> place;
};

Metadata photo(const std::string& taken, const std::string& make, const std::string& model,
               const std::vector<std::string>& keywords, const std::string& title = "",
               const std::string& description = "") {
  Metadata m;
  m.format = MediaFormat::kJpeg;
  if (!taken.empty()) m.taken = CaptureTime{taken, {}};
  m.make = make;
  m.model = model;
  m.keywords = keywords;
  m.title = title;
  m.description = description;
  return m;
}

std::vector<Photo> library() {
  std::vector<Photo> photos = {
      {"beach1.jpg", photo("2010-05-01T12:00:00", "Canon", "Canon EOS 40D", {"beach", "sunset"}), {}},
      {"IMG_2.jpg", photo("2012-07-01T12:00:00", "NIKON CORPORATION", "NIKON D90", {"beach"}, "At the harbour"), {}},
      {"3.jpg", photo("2008-12-31T23:59:59", "Canon", "Canon PowerShot", {"beaches"}, "", "Côte d'Azur in été"), {}},
      {"4.jpg", photo("2009-01-01T00:00:00", "Apple", "iPhone 12", {}, "New York skyline"), {}},
      {"5.jpg", photo("", "", "", {"york", "new"}, "", "red car"), {}},
      {"6.jpg", photo("2020-01-01T00:00:00", "", "", {"海辺の夕日"}, "東京タワー", "cargo ship"), {}},
      {"7.jpg", photo("2021-01-01T00:00:00", "", "", {"京都"}), {}},
  };
  photos[0].metadata.rating = 5;
  photos[1].metadata.rating = 3;
  photos[2].metadata.rating = 0;
  photos[0].metadata.gps = Gps{48.1372, 11.5755, {}};  // Munich, Marienplatz
  photos[1].metadata.gps = Gps{48.3538, 11.7861, {}};  // its airport, 28.6 km away
  photos[3].metadata.gps = Gps{0, 179.99, {}};
  photos[0].metadata.taken->offset_minutes = 120;
  photos[0].place = store::Place{"Munich", "Bavaria", "Germany", "DE"};
  return photos;
}

class SearchTest : public SearchedTest {
 protected:
  void SetUp() override {
    SearchedTest::SetUp();
    ASSERT_TRUE(writer_->add_root("/home/ann/pics", 1).has_value());
    for (const Photo& item : library()) add(item);
    open_reader();
  }

  void add(const Photo& item) {
    const auto asset = add_photo(seen("/home/ann/pics/album/" + item.name), item.metadata, item.name, item.place);
    ASSERT_OK(asset);
    asset_of_[item.name] = *asset;
  }

  std::vector<std::string> names(std::string_view query, const SearchOptions& options = {}) const {
    return SearchedTest::names(results(query, options));
  }

  std::map<std::string, store::AssetId> asset_of_;
};

TEST_F(SearchTest, AllWordsFirstThenWholeWordsThenRelevance) {
  EXPECT_THAT(names("sunset beach"), ElementsAre("beach1.jpg", "IMG_2.jpg", "3.jpg"));
  EXPECT_THAT(names("beach nikon"), ElementsAre("IMG_2.jpg", "beach1.jpg", "3.jpg"));
}

TEST_F(SearchTest, CaseAndDiacriticsDoNotCount) {
  EXPECT_THAT(names("COTE ete"), ElementsAre("3.jpg"));
  EXPECT_THAT(names("tag:BEACH camera:cAnOn"), UnorderedElementsAre("beach1.jpg", "3.jpg"));
  EXPECT_THAT(names("HÂRBOUR"), ElementsAre("IMG_2.jpg"));
}

TEST_F(SearchTest, LongWordsMatchAsPrefix) {
  EXPECT_THAT(names("harb"), ElementsAre("IMG_2.jpg"));
  EXPECT_THAT(names("har"), IsEmpty());
  EXPECT_THAT(names("har*"), ElementsAre("IMG_2.jpg"));
  EXPECT_THAT(names("\"harb\""), IsEmpty());
}

TEST_F(SearchTest, PhrasesAreExact) {
  EXPECT_THAT(names("\"new york\""), ElementsAre("4.jpg"));
  EXPECT_THAT(names("new york"), UnorderedElementsAre("4.jpg", "5.jpg"));
  EXPECT_THAT(names("\"new york\" car"), ElementsAre("4.jpg"));
  EXPECT_THAT(names("title:\"new york\""), ElementsAre("4.jpg"));
}

TEST_F(SearchTest, NegationExcludes) {
  EXPECT_THAT(names("beach -sunset"), ElementsAre("IMG_2.jpg", "3.jpg"));
  EXPECT_THAT(names("beach -camera:canon"), ElementsAre("IMG_2.jpg"));
  EXPECT_THAT(names("-car -beach -beaches -camera:apple -tag:京都"), ElementsAre("6.jpg"));  // cargo is no car
}

// beach1: Canon, beach, sunset, 5 stars; IMG_2: Nikon, beach, harbour, 3; 3: Canon, beaches, 0; 4: Apple, New York;
// 5: york, red car; 6 and 7: Japanese.
TEST_F(SearchTest, OrNotAndParentheses) {
  EXPECT_THAT(names("camera:canon OR camera:nikon"), ElementsAre("IMG_2.jpg", "beach1.jpg", "3.jpg"));
  EXPECT_THAT(names("camera:canon | camera:apple rating:1"), ElementsAre("beach1.jpg", "3.jpg"));
  EXPECT_THAT(names("(camera:canon | camera:nikon) rating:4"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("sunset OR harbour"), UnorderedElementsAre("beach1.jpg", "IMG_2.jpg"));
  EXPECT_THAT(names("harbour OR camera:apple"), UnorderedElementsAre("IMG_2.jpg", "4.jpg"));
  EXPECT_THAT(names("beach NOT sunset"), ElementsAre("IMG_2.jpg", "3.jpg"));
  EXPECT_THAT(names("beach NOT (sunset OR camera:nikon)"), ElementsAre("3.jpg"));
  EXPECT_THAT(names("NOT (camera:canon rating:5) camera:canon"), ElementsAre("3.jpg"));
  EXPECT_THAT(names("beach (rating:5 OR rating:=3)"), UnorderedElementsAre("beach1.jpg", "IMG_2.jpg"));
  EXPECT_EQ(names("NOT beach"), names("-beach"));
  EXPECT_THAT(names("NOT (NOT camera:canon)"), ElementsAre("beach1.jpg", "3.jpg"));
}

// A photo of 1953 is none of a month or day of it that nobody knows.
TEST_F(SearchTest, ATimeIsFoundAsFarAsItIsKnown) {
  const auto add_dated = [&](const char* name, const char* time, TimePrecision precision, TimeSource source) {
    Photo item{name, photo(time, "", "", {}), {}};
    item.metadata.taken->precision = precision;
    item.metadata.taken->source = source;
    add(item);
  };
  add_dated("year.jpg", "1953-01-01T00:00:00", TimePrecision::kYear, TimeSource::kOriginal);
  add_dated("month.jpg", "1956-02-01T00:00:00", TimePrecision::kMonth, TimeSource::kDigitized);
  add_dated("day.jpg", "1957-12-31T00:00:00", TimePrecision::kDay, TimeSource::kName);
  add_dated("minute.jpg", "1958-05-01T10:22:00", TimePrecision::kMinute, TimeSource::kOriginal);
  open_reader();
  EXPECT_THAT(names("before:1970"), UnorderedElementsAre("year.jpg", "month.jpg", "day.jpg", "minute.jpg"));
  EXPECT_THAT(names("date:1953"), ElementsAre("year.jpg"));
  EXPECT_THAT(names("date:1953-01"), IsEmpty());
  EXPECT_THAT(names("date:1953-01-01"), IsEmpty());
  EXPECT_THAT(names("month:january before:1970"), IsEmpty());
  EXPECT_THAT(names("date:1956-02"), ElementsAre("month.jpg"));
  EXPECT_THAT(names("date:1956-02-01"), IsEmpty());
  EXPECT_THAT(names("month:2 before:1970"), ElementsAre("month.jpg"));
  EXPECT_THAT(names("date:1957-12-31"), ElementsAre("day.jpg"));
  EXPECT_THAT(names("before:1957-12-31T12:00 after:1957"), IsEmpty());
  EXPECT_THAT(names("date:1958-05-01T10:22"), ElementsAre("minute.jpg"));
  EXPECT_THAT(names("date:1958-05-01T10:22:00"), IsEmpty());
  const auto why = [&](const char* query) { return results(query).results.at(0).why; };
  EXPECT_THAT(why("date:1953"), ElementsAre(Why{"taken", "1953"}));
  EXPECT_THAT(why("date:1956-02"), ElementsAre(Why{"taken", "1956-02 (digitized)"}));
  EXPECT_THAT(why("date:1957-12-31"), ElementsAre(Why{"taken", "1957-12-31 (name)"}));
}

TEST_F(SearchTest, OfAlternativesTheHoldingOnesAreGiven) {
  const auto found = results("rating:5 OR after:2012");
  ASSERT_EQ(found.results.size(), 4U);  // 7, 6, IMG_2 by time, beach1 by rating
  EXPECT_THAT(found.results[2].why, ElementsAre(Why{"taken", "2012-07-01T12:00:00"}));
  EXPECT_THAT(found.results[3].why, ElementsAre(Why{"rating", "5"}));
  // Each asset once, with the better score: all words of "beach sunset".
  EXPECT_THAT(names("beach sunset OR beach"), ElementsAre("beach1.jpg", "IMG_2.jpg", "3.jpg"));
}

TEST_F(SearchTest, OnlyFieldsGiveTheNewestFirst) {
  EXPECT_THAT(names("camera:canon"), ElementsAre("beach1.jpg", "3.jpg"));
  EXPECT_THAT(names(""), ElementsAre("7.jpg", "6.jpg", "IMG_2.jpg", "beach1.jpg", "4.jpg", "3.jpg", "5.jpg"));
}

TEST_F(SearchTest, TimesAreInclusive) {
  EXPECT_THAT(names("camera:canon after:2008"), ElementsAre("beach1.jpg", "3.jpg"));
  EXPECT_THAT(names("before:2008"), ElementsAre("3.jpg"));
  EXPECT_THAT(names("after:2009-01-01 before:2010-05-01"), ElementsAre("beach1.jpg", "4.jpg"));
  EXPECT_THAT(names("on:2010-05-01T12:00"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("on:2010-05-01T10:00:00Z"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("on:2010-05-01T12:00:00Z"), IsEmpty());
}

TEST_F(SearchTest, YearsAndMonths) {
  EXPECT_THAT(names("year:2010"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("date:2009..2010"), ElementsAre("beach1.jpg", "4.jpg"));
  EXPECT_THAT(names("month:1"), ElementsAre("7.jpg", "6.jpg", "4.jpg"));
  EXPECT_THAT(names("month:december"), ElementsAre("3.jpg"));
  EXPECT_THAT(names("NOT month:1 -year:2012"), ElementsAre("beach1.jpg", "3.jpg", "5.jpg"));
  // 2010 is in no text; 2008 neither.
  EXPECT_THAT(names("2010"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("beach 2010"), ElementsAre("beach1.jpg", "IMG_2.jpg", "3.jpg"));
  EXPECT_THAT(names("beach -2010"), ElementsAre("IMG_2.jpg", "3.jpg"));
  EXPECT_THAT(results("2008").results.at(0).why, ElementsAre(Why{"taken", "2008-12-31T23:59:59"}));
}

TEST_F(SearchTest, WhatHasNoDateIsCounted) {
  EXPECT_EQ(results("year:2010").without_date, 1U);  // 5.jpg
  EXPECT_THAT(results("year:2010").notes, Contains(testing::HasSubstr("1 more has no date")));
  EXPECT_EQ(results("beach year:2010").without_date, 0U);
  EXPECT_EQ(results("car after:2010").without_date, 1U);
  EXPECT_EQ(results("year:2010 camera:canon").without_date, 0U);
  EXPECT_EQ(results("year:2010 OR month:1").without_date, 1U);
  EXPECT_EQ(results("-year:2010").without_date, 0U);
  EXPECT_EQ(results("beach").without_date, 0U);
}

TEST_F(SearchTest, LettersOfAllScripts) {
  add({"Straße nach Łódź.jpg", {}, {}});
  add({"e\u0308lka.jpg", {}, {}});
  add({"\u0415\u0308лка.jpg", {}, {}});
  add({"か\u3099っこう.jpg", {}, {}});
  add({"party 🎉.jpg", {}, {}});
  EXPECT_THAT(names("strasse LODZ"), ElementsAre("Straße nach Łódź.jpg"));
  EXPECT_THAT(names("ёлка"), ElementsAre("\u0415\u0308лка.jpg"));
  EXPECT_EQ(names("елка"), names("ёлка"));
  EXPECT_THAT(names("がっこう"), ElementsAre("か\u3099っこう.jpg"));
  EXPECT_THAT(names("がっ"), ElementsAre("か\u3099っこう.jpg"));
  EXPECT_THAT(names("かっこう"), IsEmpty());
  EXPECT_THAT(names("🎉"), ElementsAre("party 🎉.jpg"));
}

TEST_F(SearchTest, PartsOfNames) {
  add({"SummerHoliday2019.jpg", {}, {}});
  add({"DSC01273.jpg", {}, {}});
  EXPECT_THAT(names("holiday"), ElementsAre("SummerHoliday2019.jpg"));
  EXPECT_THAT(names("holi"), ElementsAre("SummerHoliday2019.jpg"));
  EXPECT_THAT(names("1273"), ElementsAre("DSC01273.jpg"));
  EXPECT_THAT(results("1273").results.at(0).why, ElementsAre(Why{"name", "pics album DSC01273.jpg"}));
  EXPECT_THAT(names("harb,"), ElementsAre("IMG_2.jpg"));
  EXPECT_THAT(names("har,!"), IsEmpty());  // signs are no fourth letter
}

TEST_F(SearchTest, FolderWordsStayWhateverIsAnalyzedAloneAfterwards) {
  ASSERT_OK(writer_->add_root("/home/ann/pics/album", 1));
  add({"late.jpg", {}, {}});
  EXPECT_THAT(names("pics late"), testing::Contains("late.jpg"));
  EXPECT_EQ(names("pics").size(), 8U);
  ASSERT_OK(writer_->add_root("/home/ann", 1));
  EXPECT_EQ(names("ann").size(), 8U);
}

TEST_F(SearchTest, Ratings) {
  EXPECT_THAT(names("rating:3"), ElementsAre("IMG_2.jpg", "beach1.jpg"));
  EXPECT_THAT(names("rating:=3"), ElementsAre("IMG_2.jpg"));
  EXPECT_THAT(names("rating:<3"), ElementsAre("3.jpg"));
}

TEST_F(SearchTest, NearIsMeasuredOnTheGlobe) {
  EXPECT_THAT(names("near:48.1372,11.5755"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("near:48.1372,11.5755,28"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("near:48.1372,11.5755,29.5"), ElementsAre("IMG_2.jpg", "beach1.jpg"));
  EXPECT_THAT(names("near:0,-179.99,3"), ElementsAre("4.jpg"));  // over the date line: 2.2 km
}

TEST_F(SearchTest, PathsTypesAndPlaces) {
  EXPECT_THAT(names("path:ALBUM/img_"), ElementsAre("IMG_2.jpg"));
  EXPECT_THAT(names("path:%"), IsEmpty());
  EXPECT_EQ(names("path:/home/ann type:jpeg type:photo").size(), 7U);
  EXPECT_THAT(names("type:video"), IsEmpty());
  EXPECT_THAT(names("place:munich"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("bavaria"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("IMG_2"), ElementsAre("IMG_2.jpg"));
  EXPECT_EQ(names("album").size(), 7U);
  EXPECT_THAT(names("ann"), IsEmpty());  // folders above the root say nothing
}

TEST_F(SearchTest, ScriptsWithoutSpaces) {
  EXPECT_THAT(names("夕日"), ElementsAre("6.jpg"));
  EXPECT_THAT(names("東京タワ"), ElementsAre("6.jpg"));
  EXPECT_THAT(names("京"), ElementsAre("7.jpg", "6.jpg"));
  EXPECT_THAT(names("tag:京"), ElementsAre("7.jpg"));
  EXPECT_THAT(names("tag:東京タワー"), IsEmpty());
  EXPECT_THAT(names("東京 京都"), UnorderedElementsAre("6.jpg", "7.jpg"));
  EXPECT_THAT(results("夕日").results[0].why, ElementsAre(Why{"keyword", "海辺の夕日"}));
}

TEST_F(SearchTest, TellsWhy) {
  EXPECT_THAT(results("sunset").results[0].why, ElementsAre(Why{"keyword", "sunset"}));
  EXPECT_THAT(results("camera:canon after:2010").results[0].why,
              ElementsAre(Why{"camera", "Canon EOS 40D"}, Why{"taken", "2010-05-01T12:00:00+02:00"}));
  EXPECT_THAT(results("rating:5 type:jpg place:germany").results[0].why,
              UnorderedElementsAre(Why{"rating", "5"}, Why{"type", "jpeg"}, Why{"place", "Germany"}));
  EXPECT_THAT(results("near:48.1372,11.5755").results[0].why, ElementsAre(Why{"near", "0.0 km"}));
  EXPECT_THAT(results("ete").results[0].why, ElementsAre(Why{"description", "Côte d'Azur in été"}));
}

TEST_F(SearchTest, ScoresFall) {
  const auto found = results("sunset beach").results;
  ASSERT_EQ(found.size(), 3U);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_GT(found[i].score, 0);
    EXPECT_LE(found[i].score, 1);
    if (i == 0) continue;
    EXPECT_LE(found[i].score, found[i - 1].score);
  }
}

TEST_F(SearchTest, Pages) {
  SearchOptions options;
  options.limit = 2;
  options.offset = 3;
  EXPECT_THAT(names("", options), ElementsAre("beach1.jpg", "4.jpg"));
  EXPECT_EQ(results("", options).total, 7U);
  options.offset = ~size_t{0};
  EXPECT_THAT(names("", options), IsEmpty());
  options = {.limit = 0};
  EXPECT_THAT(names("beach", options), IsEmpty());
  EXPECT_EQ(results("beach", options).total, 3U);
}

TEST_F(SearchTest, MissingFilesAreNotShown) {
  ASSERT_OK(set_state(*writer_, "/home/ann/pics/album/beach1.jpg", store::FileState::kMissing));
  EXPECT_THAT(names("sunset"), IsEmpty());
  EXPECT_THAT(names("state:missing"), ElementsAre("beach1.jpg"));
  SearchOptions options;
  options.include_missing = true;
  EXPECT_THAT(names("sunset", options), ElementsAre("beach1.jpg"));
}

TEST_F(SearchTest, SaysWhenNothingWasAnalysed) {
  const auto nothing = results("object:dog");
  EXPECT_THAT(nothing.notes, Contains(testing::HasSubstr("object")));
  ASSERT_TRUE(
      writer_->put_fact(asset_of_["5.jpg"], store::TextFacts{store::TextField::kObjects, {"dog", "car"}}).has_value());
  const auto found = results("object:dog");
  EXPECT_THAT(found.notes, IsEmpty());
  ASSERT_EQ(found.results.size(), 1U);
  EXPECT_THAT(found.results[0].why, ElementsAre(Why{"object", "dog"}));
}

TEST_F(SearchTest, NoInputIsASyntaxError) {
  for (const char* query :
       {"\"", "*",   "a*b", "^x",  "(", ")",      "NEAR(a b)", "AND",   "a OR", "NOT", "{x} : y", "a\"b",
        "'",  "-\"", "\\",  "% _", "&", "tag:\"", "tag:*",     "tag:^", "--x",  ":",   "::"}) {
    const auto found = search(*reader_, query);
    if (found) continue;
    EXPECT_EQ(found.error().code, ErrorCode::kInvalidArgument) << query;
  }
  EXPECT_THAT(names("&"), IsEmpty());
}

// Any bytes give results or a refusal of the user's input, never an error of the catalogue.
TEST_F(SearchTest, AnyBytesAreSafe) {
  std::mt19937 random(7);
  const std::string_view kPieces[] = {"tag:",
                                      "near:",
                                      "after:",
                                      "rating:",
                                      "-",
                                      "\"",
                                      " ",
                                      "beach",
                                      "京",
                                      "\xff",
                                      "*",
                                      "path:",
                                      "type:",
                                      "20",
                                      "4",
                                      ",",
                                      std::string_view("\0", 1),
                                      "\xE3\x80",
                                      ":"};
  for (int round = 0; round < 3000; ++round) {
    std::string query;
    const size_t pieces = random() % 12;
    for (size_t i = 0; i < pieces; ++i) {
      if (random() % 4 == 0)
        query += static_cast<char>(random());
      else
        query += kPieces[random() % std::size(kPieces)];
    }
    const auto found = search(*reader_, query);
    if (found) continue;
    ASSERT_EQ(found.error().code, ErrorCode::kInvalidArgument) << found.error().message;
  }
  const std::string longest(200'000, 'x');
  EXPECT_THAT(names(longest), IsEmpty());
  EXPECT_THAT(names("path:" + longest), IsEmpty());
}

TEST_F(SearchTest, SubjectsNeedMasks) {
  const auto none = search(*reader_, "beach -subject:dog");
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(none.error().message, testing::HasSubstr("image-engine analyze PATH --segment"));
  const store::Fact facts[] = {store::SubjectFacts{{{"dog", 0.4, 0.9}, {"subject", 0.4, 0.9}}}};
  ASSERT_OK(writer_->put_record(1, {{store::kSegmentationStage, "m", "1", ""}, "", "", "{}", ""}, facts));
  EXPECT_THAT(names("subject:dog>30%"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("subject:dog>40%"), IsEmpty());
  EXPECT_THAT(names("beach subject:yes"), ElementsAre("beach1.jpg"));
  EXPECT_THAT(names("subject:no"), IsEmpty());
  EXPECT_THAT(results("subject:dgo").notes, Contains("nothing has subject:dgo: did you mean subject:dog?"));
  EXPECT_THAT(results("subject:dog").notes, IsEmpty());
}

}  // namespace
}  // namespace image_engine::search
