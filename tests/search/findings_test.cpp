// What detectors, scenes and OCR found, as a person asks for it, in a planted catalogue.
#include <gmock/gmock.h>

#include "tests/search/fixture.h"

namespace image_engine::search {
namespace {

using store::FoundObjects;
using store::Why;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct PlantedFindings {
  std::string name;
  std::optional<std::vector<FoundObjects>> objects;  // none: they were not looked for
  std::vector<store::FoundClass> scenes;
  std::vector<std::string> text, keywords;
  std::string country, country_code;
  bool has_position = false;
};

class FindingsTest : public SearchedTest {
 protected:
  void SetUp() override {
    SearchedTest::SetUp();
    ASSERT_TRUE(writer_->add_root("/p", 1).has_value());
    plant({"three.jpg", {{{"person", 3, 0.91}, {"dog", 1, 0.6}}}, {}, {}, {}, "", "", false});
    plant({"one.jpg", {{{"Person", 1, 0.55}}}, {{"beach", 0.7, {}}}, {}, {}, "France", "FR", true});
    plant({"nobody.jpg", {{{"car", 2, 0.83}, {"bus", 1, 0.7}}}, {{"beach", 0.2, {}}}, {}, {}, "Germany", "DE", true});
    plant({"empty.jpg", {{}}, {}, {"NOTAUSGANG", "Gleis 9"}, {}, "", "", true});
    plant({"plane.jpg", {{{"airplane", 1, 0.45}}}, {}, {"EXIT"}, {}, "", "", false});
    plant({"unseen.jpg", {}, {}, {}, {"travel"}, "", "", false});
    open_reader();
    auto rules = TagRules::read(scratch_.write("tags.yaml", R"(
tags:
  travel: {objects: [airplane], countries_except: [DE]}
  plane: {objects: [airplane: 0.4]}
  sea: {scenes: [beach]}
  crowd: {objects: [person: {count: 3}]}
  placed: {position: true}
  france: {countries: [FR]}
)"));
    ASSERT_OK(rules);
    rules_ = std::move(*rules);
  }

  void plant(const PlantedFindings& photo) {
    Metadata metadata;
    metadata.format = MediaFormat::kJpeg;
    metadata.keywords = photo.keywords;
    if (photo.has_position) metadata.gps = Gps{48.5, 2.25, {}};
    std::optional<store::Place> place;
    if (!photo.country_code.empty()) place = store::Place{"", "", photo.country, photo.country_code};
    const auto added = add_photo(seen("/p/" + photo.name), metadata, photo.name, place);
    ASSERT_OK(added);
    const store::AssetId asset = *added;
    if (photo.objects) {
      store::Record record;
      record.key = {"objects", "m", "1", ""};
      record.data = "{}";
      ASSERT_TRUE(writer_->put_record(asset, record).has_value());
      ASSERT_TRUE(writer_->put_fact(asset, store::CountFacts{store::TextField::kObjects, *photo.objects}).has_value());
    }
    ASSERT_TRUE(writer_->put_fact(asset, store::ClassFacts{store::TextField::kScene, photo.scenes}).has_value());
    ASSERT_TRUE(writer_->put_fact(asset, store::TextFacts{store::TextField::kText, photo.text}).has_value());
  }

  SearchResults results(std::string_view query) const {
    SearchOptions options;
    options.tag_rules = [&]() -> Result<const TagRules*> { return &rules_; };
    return SearchedTest::results(query, options);
  }
  std::vector<std::string> names(std::string_view query) const { return SearchedTest::names(results(query)); }
  std::vector<Why> why(std::string_view query) const {
    const auto found = results(query).results;
    EXPECT_EQ(found.size(), 1U) << query;
    return found.empty() ? std::vector<Why>() : found.front().why;
  }

  TagRules rules_;
};

TEST_F(FindingsTest, CertainFindingsComeBeforeDoubtfulOnes) {
  plant({"painted dog.bmp", {{{"dog", 1, 0.46}}}, {}, {}, {}, "", "", false});
  plant({"painted.jpg", {{{"dog", 1, 0.46}}}, {}, {}, {}, "", "", false});
  plant({"real.jpg", {{{"dog", 1, 0.55}}}, {}, {}, {}, "", "", false});
  plant({"tagged.jpg", {{}}, {}, {}, {"dog"}, "", "", false});
  const SearchResults found = results("dog");
  // Those with the word in a name or a keyword, then three.jpg (0.6).
  EXPECT_THAT(names("dog"),
              ElementsAre(testing::AnyOf("painted dog.bmp", "tagged.jpg"),
                          testing::AnyOf("painted dog.bmp", "tagged.jpg"), "three.jpg", "real.jpg", "painted.jpg"));
  const double certainties[] = {1, 1, 0.6, 0.55, 0.46};
  for (std::size_t i = 0; i < found.results.size(); ++i)
    EXPECT_NEAR(found.results[i].score, certainties[i], 0.01) << found.results[i].path;
  // All words first, however doubtful.
  EXPECT_EQ(names("dog person").front(), "three.jpg");
}

TEST_F(FindingsTest, PeopleArePersonsWhateverTheFolder) {
  plant({"people/wall.jpg", {{}}, {}, {}, {}, "", "", false});
  EXPECT_THAT(names("photos with people"), UnorderedElementsAre("three.jpg", "one.jpg", "wall.jpg"));
  EXPECT_THAT(results("people -wall").results.back().why, ElementsAre(Why{"object", "Person 0.55"}));
}

TEST_F(FindingsTest, People) {
  EXPECT_THAT(names("people:yes"), UnorderedElementsAre("three.jpg", "one.jpg"));
  EXPECT_THAT(names("people:NO"), UnorderedElementsAre("nobody.jpg", "empty.jpg", "plane.jpg"));
  EXPECT_THAT(names("-people:yes -people:no"), ElementsAre("unseen.jpg"));
  EXPECT_THAT(names("people:>=3"), ElementsAre("three.jpg"));
  EXPECT_THAT(names("people:=1"), ElementsAre("one.jpg"));
  EXPECT_THAT(names("people:<3"), UnorderedElementsAre("one.jpg", "nobody.jpg", "empty.jpg", "plane.jpg"));
  EXPECT_THAT(why("people:>2"), ElementsAre(Why{"object", "person 0.91, 3 of them"}));
  EXPECT_THAT(why("people:no vehicle:bus"), ElementsAre(Why{"object", "no person"}, Why{"object", "bus 0.70"}));
}

TEST_F(FindingsTest, Vehicles) {
  EXPECT_THAT(names("vehicle:yes"), UnorderedElementsAre("nobody.jpg", "plane.jpg"));
  EXPECT_THAT(names("vehicle:no"), UnorderedElementsAre("three.jpg", "one.jpg", "empty.jpg"));
  EXPECT_THAT(names("vehicle:plane"), ElementsAre("plane.jpg"));
  EXPECT_THAT(names("vehicle:car>=2"), ElementsAre("nobody.jpg"));
  EXPECT_THAT(names("vehicle:car>=3"), IsEmpty());
  EXPECT_THAT(why("vehicle:>=3"), ElementsAre(Why{"object", "car 0.83, 2 of them"}, Why{"object", "bus 0.70"}));
}

// However often a name is listed, each object counts once; a confidence leaves out what is less sure.
TEST_F(FindingsTest, ObjectsOfSeveralNamesAreSummed) {
  const auto found = [&](const store::ObjectsCondition& objects) {
    store::AssetQuery query;
    query.filters.push_back({objects, false});
    const auto assets = reader_->find(query);
    EXPECT_OK(assets);
    std::vector<std::string> paths;
    if (assets)
      for (const auto& asset : assets->assets) paths.push_back(asset.path);
    return paths;
  };
  store::ObjectsCondition things{.name = "car", .least = 3, .others = {"bus", "BUS", "Car"}};
  EXPECT_THAT(found(things), ElementsAre("/p/nobody.jpg"));
  things.least = 4;
  EXPECT_THAT(found(things), IsEmpty());
  things.least = 2, things.most = 2;
  EXPECT_THAT(found(things), IsEmpty());
  things.confidence = 0.8;
  EXPECT_THAT(found(things), ElementsAre("/p/nobody.jpg"));
  things.others.clear();
  EXPECT_THAT(found(things), ElementsAre("/p/nobody.jpg"));
  things.confidence = 0.9;
  EXPECT_THAT(found(things), IsEmpty());
}

TEST_F(FindingsTest, WrongValuesSayWhatIsRight) {
  const auto refusal = [](std::string_view query) {
    const auto parsed = parse_query(query);
    EXPECT_FALSE(parsed.has_value()) << query;
    return parsed ? std::string() : parsed.error().message;
  };
  EXPECT_THAT(refusal("people:some"), HasSubstr("people:yes"));
  EXPECT_THAT(refusal("people:>=-1"), HasSubstr("people:yes"));
  EXPECT_THAT(refusal("vehicle:truk"), HasSubstr("did you mean vehicle:truck?"));
  EXPECT_THAT(refusal("vehicle:car>=x"), HasSubstr("vehicle:"));
}

TEST_F(FindingsTest, TextIsFoundByItsFieldAndByPlainWords) {
  EXPECT_THAT(why("text:exit"), ElementsAre(Why{"text", "EXIT"}));
  EXPECT_THAT(why("notausgang"), ElementsAre(Why{"text", "NOTAUSGANG"}));
  EXPECT_THAT(why("\"gleis 9\""), ElementsAre(Why{"text", "Gleis 9"}));
  EXPECT_THAT(names("text:gleis -text:exit"), ElementsAre("empty.jpg"));
}

TEST_F(FindingsTest, RulesFindTagsBesidesKeywords) {
  // The aeroplane is not sure enough; abroad is where a country is known.
  EXPECT_THAT(names("tag:travel"), UnorderedElementsAre("unseen.jpg", "one.jpg"));
  EXPECT_THAT(names("keyword:travel"), ElementsAre("unseen.jpg"));
  EXPECT_THAT(names("tag:\"travel\""), ElementsAre("unseen.jpg"));
  EXPECT_THAT(names("-tag:travel"), UnorderedElementsAre("three.jpg", "nobody.jpg", "empty.jpg", "plane.jpg"));
  EXPECT_THAT(why("tag:travel people:yes"),
              ElementsAre(Why{"tag", "travel (place: France)"}, Why{"object", "Person 0.55"}));
  EXPECT_THAT(why("tag:travel -people:yes"), ElementsAre(Why{"keyword", "travel"}));
  EXPECT_THAT(why("tag:Plane"), ElementsAre(Why{"tag", "plane (object: airplane 0.45)"}));
  EXPECT_THAT(why("tag:sea"), ElementsAre(Why{"tag", "sea (scene: beach 0.70)"}));
  EXPECT_THAT(names("tag:crowd"), ElementsAre("three.jpg"));
  EXPECT_THAT(names("tag:france"), ElementsAre("one.jpg"));
  EXPECT_THAT(names("tag:placed"), UnorderedElementsAre("one.jpg", "nobody.jpg", "empty.jpg"));
  EXPECT_THAT(why("tag:placed text:notausgang"),
              ElementsAre(Why{"text", "NOTAUSGANG"}, Why{"tag", "placed (position: 48.500, 2.250)"}));
  EXPECT_THAT(names("tag:unknown"), IsEmpty());
}

TEST_F(FindingsTest, RulesThatCannotBeReadAreTheSearchsError) {
  SearchOptions options;
  options.tag_rules = []() -> Result<const TagRules*> { return fail(ErrorCode::kInvalidArgument, "tags.yaml:3: no"); };
  const auto found = search(*reader_, "tag:sea", options);
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().message, "tags.yaml:3: no");
  EXPECT_TRUE(search(*reader_, "sea keyword:x", options).has_value());
}

}  // namespace
}  // namespace image_engine::search
