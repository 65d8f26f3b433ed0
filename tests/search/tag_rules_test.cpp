#include "search/tag_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "search/search.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::search {
namespace {

using store::CountryCondition;
using store::ObjectsCondition;
using store::SceneCondition;
using testing::HasSubstr;
using testing::SizeIs;

class TagRulesTest : public testing::Test {
 protected:
  Result<TagRules> read(const std::string& text) const { return TagRules::read(scratch_.write("tags.yaml", text)); }
  // The error's message, which begins with the file.
  std::string refusal(const std::string& text) const {
    const auto rules = read(text);
    EXPECT_FALSE(rules.has_value()) << text;
    if (rules) return {};
    EXPECT_EQ(rules.error().code, ErrorCode::kInvalidArgument) << rules.error().message;
    EXPECT_THAT(rules.error().message, testing::StartsWith(file_ + ":"));
    return rules.error().message.substr(file_.size());
  }

  const Scratch scratch_;
  const std::string file_ = scratch_ / "tags.yaml";
};

TEST_F(TagRulesTest, SignsAreRead) {
  const auto rules = read(R"(
confidence: {objects: 0.4, scenes: 0.3}
tags:
  Travel:
    objects: [suitcase, airplane: 0.8, person: {count: 3, confidence: 0.7}, dining table: {count: 2}]
    scenes: [airport, beach: 0.6]
    countries: [fr, IT]
    countries_except: [DE]
    position: true
)");
  ASSERT_OK(rules);
  EXPECT_THAT(rules->names(), testing::ElementsAre("travel"));
  EXPECT_EQ(rules->find("trave"), nullptr);
  const auto* signs = rules->find("TRAVEL");
  ASSERT_NE(signs, nullptr);
  ASSERT_THAT(*signs, SizeIs(9));
  const auto object = [&](size_t i) { return std::get<ObjectsCondition>((*signs)[i]); };
  EXPECT_EQ(object(0).name, "suitcase");
  EXPECT_EQ(object(0).confidence, 0.4);
  EXPECT_EQ(object(0).least, 1);
  EXPECT_EQ(object(1).confidence, 0.8);
  EXPECT_EQ(object(2).least, 3);
  EXPECT_EQ(object(2).confidence, 0.7);
  EXPECT_EQ(object(3).name, "dining table");
  EXPECT_EQ(object(3).confidence, 0.4);
  EXPECT_EQ(std::get<SceneCondition>((*signs)[4]).confidence, 0.3);
  EXPECT_EQ(std::get<SceneCondition>((*signs)[5]).confidence, 0.6);
  EXPECT_EQ(std::get<CountryCondition>((*signs)[6]).codes, (std::vector<std::string>{"FR", "IT"}));
  EXPECT_FALSE(std::get<CountryCondition>((*signs)[6]).except);
  EXPECT_TRUE(std::get<CountryCondition>((*signs)[7]).except);
  EXPECT_TRUE(std::get<CountryCondition>((*signs)[8]).codes.empty());
}

TEST_F(TagRulesTest, FaultsNameTheirLine) {
  EXPECT_THAT(refusal("tags:\n  a:\n    object: [x]\n"), HasSubstr(":3: unknown key \"object\"; did you mean"));
  EXPECT_THAT(refusal("tags:\n  a: {objects: [x]}\n  A: {objects: [x]}\n"), HasSubstr(":3: the tag \"a\" is there"));
  EXPECT_THAT(refusal("tags:\n  a:\n    objects: [x: 1.5]\n"), HasSubstr(":3: a confidence"));
  EXPECT_THAT(refusal("tags:\n  a:\n    objects: [x: nan]\n"), HasSubstr(":3: a confidence"));
  EXPECT_THAT(refusal("tags:\n  a:\n    objects:\n      - x: {count: 0}\n"), HasSubstr(":4: a count"));
  EXPECT_THAT(refusal("tags:\n  a:\n    objects:\n      - x: {counts: 1}\n"), HasSubstr(":4: unknown key \"counts\""));
  EXPECT_THAT(refusal("tags:\n  a:\n    scenes: beach\n"), HasSubstr(":3: `scenes` must be a list"));
  EXPECT_THAT(refusal("tags:\n  a:\n    countries: [Germany]\n"), HasSubstr(":3: \"Germany\" is not a country"));
  EXPECT_THAT(refusal("tags:\n  a:\n    position: false\n"), HasSubstr(":3: `position`"));
  EXPECT_THAT(refusal("tags:\n  a: {}\n"), HasSubstr(":2: a tag needs a sign"));
  EXPECT_THAT(refusal("tags:\n  a:\n  b: {objects: [x]}\n"), HasSubstr(":2: a tag needs signs"));
  EXPECT_THAT(refusal("tags:\n  two words: {objects: [x]}\n"), HasSubstr(":2: the tag \"two words\" must be one word"));
  EXPECT_THAT(refusal("tag:\n  a: {objects: [x]}\n"), HasSubstr(":1: unknown key \"tag\"; did you mean \"tags\""));
  EXPECT_THAT(refusal("tags:\n  a: {objects: [x]\n"), HasSubstr("invalid YAML"));
  EXPECT_THAT(refusal("\n"), HasSubstr(":1: "));
  EXPECT_THAT(refusal("\xff"), HasSubstr("UTF-8"));
  std::string many = "tags:\n  a:\n    objects:\n";
  for (int i = 0; i < 10'001; ++i) many += "      - x" + std::to_string(i) + "\n";
  EXPECT_THAT(refusal(many), HasSubstr(":10004: more than"));
}

TEST_F(TagRulesTest, AFileThatIsNotThereIsNotFound) {
  const auto rules = TagRules::read("/nowhere/tags.yaml");
  ASSERT_FALSE(rules.has_value());
  EXPECT_EQ(rules.error().code, ErrorCode::kNotFound);
}

TEST_F(TagRulesTest, ShippedRulesAreSound) {
  const auto rules = TagRules::read(std::string(IE_SOURCE_DIR) + "/config/tags.yaml");
  ASSERT_OK(rules);
  EXPECT_GE(rules->names().size(), 20U);
  std::set<std::string> objects, scenes;
  const auto read_lines = [](const std::string& name, std::set<std::string>& lines) {
    std::ifstream file(std::string(IE_SOURCE_DIR) + "/config/" + name);
    for (std::string line; std::getline(file, line);) lines.insert(line);
    EXPECT_FALSE(lines.empty()) << name;
  };
  read_lines("labels/coco80.txt", objects);
  read_lines("labels/imagenet1k.txt", scenes);
  std::set<std::string> scene_lines;
  read_lines("scenes.yaml", scene_lines);
  for (const std::string& line : scene_lines)
    if (line.starts_with("  - ")) scenes.insert(line.substr(4, line.find(':') - 4));
  for (const std::string_view name : rules->names())
    for (const store::Sign& sign : *rules->find(name)) {
      if (const auto* object = std::get_if<ObjectsCondition>(&sign)) {
        EXPECT_TRUE(objects.contains(object->name)) << name << ": " << object->name;
      }
      if (const auto* scene = std::get_if<SceneCondition>(&sign)) {
        EXPECT_TRUE(scenes.contains(scene->name)) << name << ": " << scene->name;
      }
    }
}

}  // namespace
}  // namespace image_engine::search
