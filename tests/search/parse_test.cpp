#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "search/search.h"

namespace image_engine::search {
namespace {

using store::Filter;
using store::TextField;
using testing::HasSubstr;
using testing::SizeIs;

ParsedQuery parse(std::string_view text, const SearchOptions& options = {}) {
  auto parsed = parse_query(text, options);
  EXPECT_TRUE(parsed.has_value()) << text << ": " << parsed.error().message;
  return parsed ? *parsed : ParsedQuery();
}

template <typename T>
T only_filter(std::string_view text) {
  const auto parsed = parse(text);
  EXPECT_THAT(parsed.query.filters, SizeIs(1)) << text;
  const auto* typed = parsed.query.filters.empty() ? nullptr : std::get_if<T>(&parsed.query.filters[0].condition);
  EXPECT_NE(typed, nullptr) << text;
  return typed ? *typed : T();
}

std::string refusal(std::string_view text) {
  const auto parsed = parse_query(text);
  EXPECT_FALSE(parsed.has_value()) << text;
  if (parsed) return {};
  EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
  return parsed.error().message;
}

TEST(Parse, Words) {
  const auto parsed = parse("  sea  beach\tsun\xE3\x80\x80tree 12:30 ");
  ASSERT_THAT(parsed.query.words, SizeIs(5));
  EXPECT_EQ(parsed.query.words[0].text, "sea");
  EXPECT_FALSE(parsed.query.words[0].prefix);
  EXPECT_TRUE(parsed.query.words[1].prefix);  // four letters and more may go on
  EXPECT_EQ(parsed.query.words[3].text, "tree");
  EXPECT_EQ(parsed.query.words[4].text, "12:30");
  EXPECT_THAT(parse("").query.words, SizeIs(0));
  EXPECT_TRUE(parse("se*").query.words[0].prefix);
}

TEST(Parse, QuotedWordsMustBeThere) {
  const auto parsed = parse("\"new york\" pier");
  ASSERT_THAT(parsed.query.words, SizeIs(2));
  ASSERT_THAT(parsed.query.filters, SizeIs(1));
  EXPECT_FALSE(parsed.query.filters[0].negated);
  EXPECT_FALSE(parsed.query.words[0].prefix);
  EXPECT_EQ(parse("\"left open").query.words[0].text, "left open");
}

TEST(Parse, FunctionWordsRankOnlyWithoutOthers) {
  const auto texts = [](std::string_view query) {
    std::vector<std::string> result;
    for (const auto& word : parse(query).query.words) result.push_back(word.text);
    return result;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(texts("A dog on THE beach"), (Texts{"dog", "beach"}));
  EXPECT_EQ(texts("\"the\" dog"), (Texts{"the", "dog"}));
  EXPECT_EQ(texts("of the"), (Texts{"of", "the"}));
  EXPECT_EQ(texts("the & -dog camera:x"), (Texts{"the", "&"}));
  EXPECT_EQ(texts("the 犬"), (Texts{"犬"}));
  EXPECT_EQ(texts("the 4"), (Texts{"4"}));
}

TEST(Parse, WhatAModelIsToldIsThePlainWordsInOrder) {
  EXPECT_EQ(parse("a  dog on\tthe \"new beach\" -cat camera:canon sunn*").texts.front(), "a dog on the new beach sunn");
  EXPECT_EQ(parse("of the").texts.front(), "");
  EXPECT_EQ(parse("& the").texts.front(), "");
  EXPECT_EQ(parse("-dog camera:x").texts.front(), "");
  EXPECT_EQ(parse("").texts.front(), "");
}

TEST(Parse, NegationExcludes) {
  const auto parsed = parse("-winter -tag:snow -\"ski lift\" -");
  ASSERT_THAT(parsed.query.filters, SizeIs(3));
  for (const Filter& filter : parsed.query.filters) EXPECT_TRUE(filter.negated);
  EXPECT_FALSE(std::get<store::TextCondition>(parsed.query.filters[0].condition).prefix);
  ASSERT_THAT(parsed.query.words, SizeIs(1));  // a lone dash is a word like others
}

using Words = std::vector<std::string>;

Words words_of(const store::Alternative& one) {
  Words words;
  for (const auto& word : one.words) words.push_back(word.text);
  return words;
}

// Each alternative's words, the query's own first.
std::vector<Words> alternatives(std::string_view text) {
  const ParsedQuery parsed = parse(text);
  std::vector<Words> all = {words_of(parsed.query)};
  for (const auto& other : parsed.query.others) all.push_back(words_of(other));
  return all;
}

TEST(Parse, NotBindsBeforeAdjacencyBeforeOr) {
  using All = std::vector<Words>;
  EXPECT_EQ(alternatives("dog OR cat"), (All{{"dog"}, {"cat"}}));
  EXPECT_EQ(alternatives("dog|cat | bird"), (All{{"dog"}, {"cat"}, {"bird"}}));
  EXPECT_EQ(alternatives("red dog OR cat"), (All{{"red", "dog"}, {"cat"}}));
  EXPECT_EQ(alternatives("red (dog OR cat)"), (All{{"red", "dog"}, {"red", "cat"}}));
  EXPECT_EQ(alternatives("(a1 OR b1) (c1 OR d1)"), (All{{"a1", "c1"}, {"a1", "d1"}, {"b1", "c1"}, {"b1", "d1"}}));
  EXPECT_EQ(alternatives("((dog))"), (All{{"dog"}}));
  EXPECT_EQ(parse("red (dog OR the cat)").texts, (Words{"red dog", "red the cat"}));
  const auto without = parse("dog NOT cat OR bird");
  ASSERT_THAT(without.query.others, SizeIs(1));
  ASSERT_THAT(without.query.filters, SizeIs(1));
  EXPECT_TRUE(without.query.filters[0].negated);
  EXPECT_THAT(without.query.others[0].filters, SizeIs(0));
  EXPECT_EQ(alternatives("NOT NOT dog"), (All{{"dog"}}));
  for (const char* text : {"NOT dog", "-dog", "NOT (dog)", "-(dog)"}) {
    const auto excluded = parse(text);
    EXPECT_THAT(excluded.query.words, SizeIs(0)) << text;
    ASSERT_THAT(excluded.query.filters, SizeIs(1)) << text;
    EXPECT_TRUE(excluded.query.filters[0].negated) << text;
  }
}

TEST(Parse, FieldsJoinedByOrAreOneCondition) {
  const auto any = only_filter<store::AnyCondition>("camera:canon OR camera:nikon rating:4");
  ASSERT_THAT(any.alternatives, SizeIs(2));
  EXPECT_THAT(any.alternatives[0], SizeIs(1));
  EXPECT_THAT(any.alternatives[1], SizeIs(2));
  EXPECT_EQ(alternatives("dog OR camera:canon OR rating:4"), (std::vector<Words>{{"dog"}, {}}));
}

TEST(Parse, SmallLettersAndQuotesAreWords) {
  EXPECT_EQ(alternatives("dog or not"), (std::vector<Words>{{"dog", "not"}}));
  EXPECT_EQ(alternatives("\"OR\" dog"), (std::vector<Words>{{"OR", "dog"}}));
  EXPECT_EQ(alternatives("IMG_2(1).jpg"), (std::vector<Words>{{"IMG_2(1).jpg"}}));
  EXPECT_EQ(alternatives("(IMG_2(1).jpg)"), (std::vector<Words>{{"IMG_2(1).jpg"}}));
  EXPECT_EQ(alternatives("what? &"), (std::vector<Words>{{"what?"}}));
}

TEST(Parse, WhatIsNoGrammarIsSaid) {
  const std::pair<const char*, const char*> kCases[] = {
      {"a OR", "OR needs"},       {"OR a", "OR needs"},
      {"a OR OR b", "OR needs"},  {"a |", "OR needs"},
      {"(a OR) b", "OR needs"},   {"a NOT", "NOT needs"},
      {"NOT OR a", "NOT needs"},  {"(a b", "not closed"},
      {"a) b", "closes no"},      {") a", "closes no"},
      {"a ()", "between"},        {"(", "between"},
      {"a AND b", "operator"},    {"a && b", "operator"},
      {"a || b", "operator"},     {"a NEAR b", "operator"},
      {"+a b", "operator"},       {"a^2 b", "operator as ^"},
      {"b a~", "operator as ~"},  {"a~0.8", "operator as ~"},
      {"!a b", "operator"},       {"be*ch", "* stands"},
      {"*beach", "* stands"},     {"tag:b?ach", "? stands"},
      {"name:*.jpg", "* stands"}, {"camera:(a OR b)", "(camera:a OR camera:b)"},
  };
  for (const auto& [text, message] : kCases) EXPECT_THAT(refusal(text), HasSubstr(message)) << text;
}

TEST(Parse, SignsWithinNamesAreNoOperators) {
  for (const char* text : {"PICTUR~1.JPG", "\"a^2\"", "path:notes~", "~", "^2"}) EXPECT_TRUE(parse_query(text)) << text;
}

TEST(Parse, SignsAloneAreSaid) {
  const auto notes = [](std::string_view text) { return parse_query(text)->notes; };
  EXPECT_THAT(notes("opa & oma"), testing::ElementsAre(HasSubstr("& alone")));
  EXPECT_THAT(notes("dog - cat"), testing::ElementsAre(HasSubstr("no blank after it")));
  EXPECT_THAT(notes("dog NOT &"), testing::ElementsAre(HasSubstr("& alone")));
  EXPECT_THAT(notes("\"new york\" -cat 🎂"), testing::IsEmpty());
}

TEST(Parse, ParenthesesNestTo32) {
  const auto nested = [](int depth) { return std::string(depth, '(') + "dog" + std::string(depth, ')'); };
  EXPECT_EQ(alternatives(nested(32)), (std::vector<Words>{{"dog"}}));
  EXPECT_THAT(refusal(nested(33)), HasSubstr("32"));
  EXPECT_THAT(refusal(std::string(100'000, '(')), HasSubstr("32"));
  std::string product;
  for (int i = 0; i < 6; ++i) product += "(a OR b)";
  EXPECT_THAT(refusal(product), HasSubstr("32"));
}

TEST(Parse, TextFields) {
  const std::pair<const char*, TextField> kCases[] = {
      {"tag:x", TextField::kKeywords},     {"Camera:x", TextField::kCamera},   {"lens:x", TextField::kLens},
      {"place:x", TextField::kPlace},      {"title:x", TextField::kTitle},     {"object:x", TextField::kObjects},
      {"scene:x", TextField::kScene},      {"text:x", TextField::kText},       {"person:x", TextField::kPeople},
      {"product:x", TextField::kProducts}, {"caption:x", TextField::kCaption}, {"action:x", TextField::kAction},
  };
  for (const auto& [text, field] : kCases) EXPECT_EQ(only_filter<store::TextCondition>(text).field, field) << text;
  EXPECT_EQ(only_filter<store::TextCondition>("camera:\"EOS 40D\"").text, "EOS 40D");
  EXPECT_THAT(parse("object:dog tag:x").analysed_fields,
              testing::ElementsAre(AnalysedField{TextField::kObjects, "objects"}));
}

TEST(Parse, ProductsAreCountedAsObjectsAre) {
  const auto counted = only_filter<store::ObjectsCondition>("product:snack-bar>=2");
  EXPECT_EQ(counted.field, TextField::kProducts);
  EXPECT_EQ(counted.name, "snack bar");
  EXPECT_EQ(counted.least, 2);
  EXPECT_EQ(only_filter<store::ObjectsCondition>("object:can=1").field, TextField::kObjects);
  EXPECT_THAT(parse("product:can=1").analysed_fields,
              testing::ElementsAre(AnalysedField{TextField::kProducts, "retail_products"}));
  EXPECT_THAT(refusal("product:>2"), HasSubstr("product:bottle>=2"));
}

TEST(Parse, UnknownFieldsNameTheNearest) {
  EXPECT_THAT(refusal("camra:canon"), HasSubstr("camera:"));
  EXPECT_THAT(refusal("befor:2008"), HasSubstr("before:"));
  EXPECT_THAT(refusal("http://x"), HasSubstr("quote it"));
  EXPECT_THAT(refusal("tag:"), HasSubstr("value"));
}

// Seconds by `date -u -d … +%s`.
TEST(Parse, TimesCoverWhatTheyName) {
  EXPECT_EQ(only_filter<store::TakenCondition>("after:2008").from, 1199145600);
  EXPECT_EQ(only_filter<store::TakenCondition>("after:2008").to, std::nullopt);
  EXPECT_EQ(only_filter<store::TakenCondition>("before:2008").to, 1230767999);
  EXPECT_EQ(only_filter<store::TakenCondition>("before:2008").from, std::nullopt);
  EXPECT_EQ(only_filter<store::TakenCondition>("before:2008-02").to, 1204329599);
  EXPECT_EQ(only_filter<store::TakenCondition>("on:2024-02-29").from, 1709164800);
  EXPECT_EQ(only_filter<store::TakenCondition>("on:2024-02-29").to, 1709251199);
  EXPECT_EQ(only_filter<store::TakenCondition>("after:2024-06-01T10:22").from, 1717237320);
  EXPECT_EQ(only_filter<store::TakenCondition>("before:2024-06-01T10:22").to, 1717237379);
  EXPECT_FALSE(only_filter<store::TakenCondition>("before:2024-06-01T10:22:03").absolute);
  const auto zoned = only_filter<store::TakenCondition>("after:2024-06-01T10:22:03+02:00");
  EXPECT_TRUE(zoned.absolute);
  EXPECT_EQ(zoned.from, 1717230123);
  for (const char* text :
       {"after:yesterday", "after:2023-02-29", "after:2023-13", "after:2023-1", "on:2024-06-01T25:00",
        "before:2024-06-01T10:22:03x", "before:12", "after:2024-06-01T", "after:99999"})
    EXPECT_THAT(refusal(text), HasSubstr("is not a date")) << text;
}

// Seconds by `date -u -d … +%s`.
TEST(Parse, DatesAsPeopleWriteThem) {
  constexpr std::int64_t k2016 = 1451606400, k2017 = 1483228800, k2019 = 1546300800;
  using Range = std::pair<std::optional<std::int64_t>, std::optional<std::int64_t>>;
  const std::pair<const char*, Range> kCases[] = {
      {"year:2016", {k2016, k2017 - 1}},
      {"year:2016..2018", {k2016, k2019 - 1}},
      {"year:2016-2018", {k2016, k2019 - 1}},
      {"year:>=2016", {k2016, std::nullopt}},
      {"year:>2016", {k2017, std::nullopt}},
      {"year:<2016", {std::nullopt, k2016 - 1}},
      {"year:<=2016", {std::nullopt, k2017 - 1}},
      {"date:2016", {k2016, k2017 - 1}},
      {"taken:=2016", {k2016, k2017 - 1}},
      {"date:2016..", {k2016, std::nullopt}},
      {"date:..2016", {std::nullopt, k2017 - 1}},
      {"date:2016-01-01..2018", {k2016, k2019 - 1}},
      {"on:2019-04-22", {1555891200, 1555977599}},
      {"month:2008-02", {1201824000, 1204329599}},
      {"month:\"february 2008\"", {1201824000, 1204329599}},
  };
  for (const auto& [text, range] : kCases) {
    const auto taken = only_filter<store::TakenCondition>(text);
    EXPECT_EQ(Range(taken.from, taken.to), range) << text;
  }
  for (const char* text : {"month:7", "month:07", "month:July", "month:jul"})
    EXPECT_EQ(only_filter<store::MonthCondition>(text).month, 7) << text;
  for (const char* text : {"year:16", "year:2016-07", "year:x", "month:13", "month:0", "month:ju", "month:2016"})
    EXPECT_THAT(refusal(text), HasSubstr("write")) << text;
  for (const char* text : {"date:..", "date:2016..x", "taken:>yesterday"})
    EXPECT_THAT(refusal(text), HasSubstr("is not a date")) << text;
}

TEST(Parse, WordsWithAnotherMeaning) {
  const auto also = [](std::string_view text) { return parse(text).query.words.front().also; };
  EXPECT_EQ(std::get<store::TakenCondition>(also("2016").value()).from, 1451606400);
  EXPECT_EQ(std::get<store::ObjectsCondition>(also("People").value()).name, "person");
  for (const char* text : {"1273", "3016", "201", "2016a", "\"2016\"", "peoples"}) EXPECT_FALSE(also(text)) << text;
  EXPECT_EQ(alternatives("photos with people"), (std::vector<Words>{{"people"}}));
  EXPECT_EQ(alternatives("photos"), (std::vector<Words>{{"photos"}}));
  EXPECT_EQ(only_filter<store::AnyCondition>("-2016").alternatives.size(), 2U);
}

TEST(Parse, Ratings) {
  const std::tuple<const char*, int, int> kCases[] = {{"rating:4", 4, 5},    {"rating:=4", 4, 4}, {"rating:<3", -1, 2},
                                                      {"rating:<=3", -1, 3}, {"rating:>3", 4, 5}, {"rating:>=3", 3, 5}};
  for (const auto& [text, least, most] : kCases) {
    EXPECT_EQ(only_filter<store::RatingCondition>(text).least, least) << text;
    EXPECT_EQ(only_filter<store::RatingCondition>(text).most, most) << text;
  }
  for (const char* text : {"rating:x", "rating:9", "rating:4.5", "rating:=", "rating:99999999999999999999"})
    EXPECT_THAT(refusal(text), HasSubstr("rating:4")) << text;
}

TEST(Parse, Near) {
  const auto near = only_filter<store::NearCondition>("near:48.14,-11.5,2.5");
  EXPECT_DOUBLE_EQ(near.latitude, 48.14);
  EXPECT_DOUBLE_EQ(near.longitude, -11.5);
  EXPECT_DOUBLE_EQ(near.kilometres, 2.5);
  EXPECT_DOUBLE_EQ(only_filter<store::NearCondition>("near:1,2").kilometres, 5);
  for (const char* text : {"near:91,0", "near:0,181", "near:1", "near:1,2,0", "near:1,2,-3", "near:1,2,3,4",
                           "near:nan,0", "near:1,2,nan", "near:Munich", "near:,"})
    refusal(text);
  SearchOptions options;
  options.find_places = [](std::string_view name, std::string_view within) -> Result<std::vector<PlacePosition>> {
    if (name == "New York") return std::vector<PlacePosition>{{40.7, -74}};
    if (name == "Paris" && within.empty()) return std::vector<PlacePosition>{{48.85, 2.35}, {33.66, -95.56}};
    if (name == "Paris" && within == "US") return std::vector<PlacePosition>{{33.66, -95.56}};
    if (name == "Common") return std::vector<PlacePosition>(51);
    return std::vector<PlacePosition>();
  };
  const auto place = parse("near:\"New York,10\"", options);
  EXPECT_DOUBLE_EQ(std::get<store::NearCondition>(place.query.filters[0].condition).kilometres, 10);
  const auto any = parse("near:Paris", options);
  EXPECT_EQ(std::get<store::AnyCondition>(any.query.filters[0].condition).alternatives.size(), 2U);
  const auto one = std::get<store::NearCondition>(parse("near:\"Paris, US, 7\"", options).query.filters[0].condition);
  EXPECT_DOUBLE_EQ(one.latitude, 33.66);
  EXPECT_DOUBLE_EQ(one.kilometres, 7);
  for (const char* text : {"near:Atlantis", "near:Common", "near:Paris,US,1,2", "near:Paris,-1"})
    EXPECT_FALSE(parse_query(text, options).has_value()) << text;
}

TEST(Parse, TypesAndStates) {
  EXPECT_EQ(only_filter<store::TypeCondition>("type:Video").kind, MediaKind::kVideo);
  EXPECT_EQ(only_filter<store::TypeCondition>("type:audio").kind, MediaKind::kAudio);
  EXPECT_THAT(only_filter<store::TypeCondition>("type:jpg").formats, testing::ElementsAre(MediaFormat::kJpeg));
  EXPECT_THAT(only_filter<store::TypeCondition>("type:heic").formats, testing::ElementsAre(MediaFormat::kHeif));
  EXPECT_THAT(only_filter<store::TypeCondition>("type:raw").formats, testing::Contains(MediaFormat::kNef));
  EXPECT_EQ(only_filter<store::StateCondition>("state:missing").state, store::FileState::kMissing);
  refusal("type:song");
  refusal("state:lost");
}

TEST(Parse, TooManyWords) {
  std::string text;
  for (int i = 0; i < 65; ++i) text += "w ";
  EXPECT_THAT(refusal(text), HasSubstr("64"));
  EXPECT_THAT(refusal("NOT (" + text + ")"), HasSubstr("64"));
}

TEST(Parse, Subjects) {
  const auto shares = [](std::string_view text) {
    const auto subject = only_filter<store::SubjectCondition>(text);
    EXPECT_THAT(subject.names, SizeIs(1)) << text;
    EXPECT_FALSE(subject.absent) << text;
    return std::tuple(subject.names.front(), subject.least, subject.most);
  };
  EXPECT_EQ(shares("subject:dog"), std::tuple("dog", 0.0, 1.0));
  EXPECT_EQ(shares("subject:Traffic-Light>=12.5%"), std::tuple("traffic light", 0.125, 1.0));
  EXPECT_EQ(shares("subject:dog<=10%"), std::tuple("dog", 0.0, 0.1));
  EXPECT_EQ(shares("subject:yes"), std::tuple("subject", 0.0, 1.0));
  EXPECT_EQ(shares("subject:>=50%"), std::tuple("subject", 0.5, 1.0));
  const auto more = only_filter<store::SubjectCondition>("subject:dog>30%");
  EXPECT_TRUE(more.least > 0.3 && more.least < 0.3000001);
  const auto less = only_filter<store::SubjectCondition>("subject:dog<30%");
  EXPECT_TRUE(less.most < 0.3 && less.most > 0.2999999 && less.least == 0);
  const auto about = only_filter<store::SubjectCondition>("subject:dog=30%");
  EXPECT_NEAR(about.least, 0.295, 1e-9);
  EXPECT_NEAR(about.most, 0.305, 1e-9);
  EXPECT_TRUE(only_filter<store::SubjectCondition>("subject:no").absent);
  EXPECT_THAT(only_filter<store::SubjectCondition>("subject:person>20%").names, testing::Contains("pedestrian"));
  EXPECT_TRUE(parse("x OR (y -subject:dog)").asks_for_subjects);
  EXPECT_FALSE(parse("object:dog").asks_for_subjects);
  for (const char* text : {"subject:dog>30", "subject:dog>", "subject:dog>x%", "subject:dog>101%", "subject:dog>-1%",
                           "subject:dog<>3%", "subject:dog>%"})
    EXPECT_THAT(refusal(text), HasSubstr("subject:dog>30%")) << text;
  EXPECT_THAT(refusal("subjct:dog"), HasSubstr("did you mean subject:"));
}

}  // namespace
}  // namespace image_engine::search
