#include "nvidia/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/ok.h"

namespace image_engine::nvidia {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Scale kSame{100, 80, 100, 80};

std::string prediction(const std::string& name, const std::string& confidence, const std::string& box) {
  return R"({"class": ")" + name + R"(", "confidence": )" + confidence + R"(, "bbox": )" + box + "}";
}
std::string predictions(const std::string& entries) { return R"({"predictions": [)" + entries + "]}"; }

RetailProducts products(const std::string& body, const Scale& scale = kSame, double threshold = 0.5,
                        std::size_t most = 10) {
  const auto read = read_products(body, scale, threshold, most);
  EXPECT_OK(read);
  return read.value_or(RetailProducts{});
}
std::string complaint(const Result<RetailProducts>& read) {
  EXPECT_FALSE(read);
  return read ? "none" : read.error().message;
}

TEST(ReadProducts, TheSurestFirstAndScaledToThePicture) {
  const auto found = products(
      predictions(prediction("box", "0.8", "[10, 20, 30, 40]") + "," + prediction("bottle", "0.9", "[0, 0, 50, 8.5]") +
                  "," + prediction("bottle", "0.49", "[0, 0, 50, 8]")),
      {100, 80, 400, 320});
  ASSERT_EQ(found.detections.size(), 2U);
  EXPECT_EQ(found.detections[0].name, "bottle");
  EXPECT_EQ(found.detections[0].box, (Box{0, 0, 200, 34}));
  EXPECT_EQ(found.detections[1].box, (Box{40, 80, 120, 160}));
  EXPECT_THAT(found.dominant, ElementsAre("bottle", "box"));
  EXPECT_EQ(products_json(found), json::parse(R"({"detections": [
    {"class": "bottle", "confidence": 0.9, "bbox": [0.0, 0.0, 200.0, 34.0]},
    {"class": "box", "confidence": 0.8, "bbox": [40.0, 80.0, 120.0, 160.0]}],
    "product_count": 2, "dominant_products": ["bottle", "box"]})"));
}

TEST(ReadProducts, BoxesInPartsOfThePicture) {
  const auto found = products(predictions(prediction("can", "1", "[0.5, 0.25, 0.5, 0.5]")), {50, 40, 200, 80});
  ASSERT_EQ(found.detections.size(), 1U);
  EXPECT_EQ(found.detections[0].box, (Box{100, 20, 100, 40}));
}

TEST(ReadProducts, BoxesAreCutToThePictureAndThoseOutsideAreLeftOut) {
  const auto found = products(predictions(
      prediction("in", "0.9", "[-10, -5, 30, 1e300]") + "," + prediction("beside", "0.9", "[100, 0, 10, 10]") + "," +
      prediction("above", "0.9", "[0, -20, 10, 10]") + "," + prediction("negative", "0.9", "[50, 50, -10, 5]") + "," +
      prediction("nan", "0.9", "[NaN, 0, 10, 10]") + "," + prediction("text", "0.9", R"(["1", 0, 10, 10])") + "," +
      prediction("infinite", "0.9", "[0, 0, Infinity, -Infinity]") + "," + prediction("short", "0.9", "[1, 2, 3]") +
      "," + prediction("sure", "NaN", "[0, 0, 10, 10]") + "," + prediction("percent", "95", "[0, 0, 10, 10]") + "," +
      prediction("", "0.9", "[0, 0, 10, 10]") + R"(, {"class": "unsure", "bbox": [0, 0, 10, 10]}, 7, null, [], "x")"));
  ASSERT_EQ(found.detections.size(), 1U);
  EXPECT_EQ(found.detections[0].box, (Box{0, 0, 20, 80}));
}

TEST(ReadProducts, TheFiveMostFrequentOfEqualOnesTheSurest) {
  std::string entries;
  const auto add = [&](const std::string& name, const std::string& confidence) {
    entries += (entries.empty() ? "" : ",") + prediction(name, confidence, "[1, 2, 3, 4]");
  };
  for (const auto& [name, confidence] : {std::pair{"a", "0.60"},
                                         {"b", "0.99"},
                                         {"c", "0.70"},
                                         {"a", "0.61"},
                                         {"d", "0.97"},
                                         {"e", "0.80"},
                                         {"f", "0.81"},
                                         {"c", "0.55"},
                                         {"c", "0.56"}})
    add(name, confidence);
  EXPECT_THAT(products(predictions(entries)).dominant, ElementsAre("c", "a", "b", "d", "f"));
  const auto few = products(predictions(entries), kSame, 0.5, 2);
  EXPECT_EQ(few.detections.size(), 2U);
  EXPECT_THAT(few.dominant, ElementsAre("b", "d"));
}

TEST(ReadProducts, NamesAreShortLines) {
  std::string name;
  for (int i = 0; i < 150; ++i) name += "é";
  const auto found = products(predictions(prediction(R"(\u001b[31mred\n\tlabel \u0085\u0000)", "0.9", "[1,2,3,4]") +
                                          "," + prediction("x" + name, "0.8", "[1,2,3,4]")));
  ASSERT_EQ(found.detections.size(), 2U);
  EXPECT_EQ(found.detections[0].name, "[31mred label");
  EXPECT_EQ(found.detections[1].name.size(), 199U);  // no half character
}

TEST(ReadProducts, AsGroundingDinoAnswers) {
  const auto found = products(R"({"choices": [{"message": {"content": {"frameWidth": 100, "boundingBoxes": [
    {"phrase": "a bottle", "bboxes": [[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]], "confidence": [0.6, 0.9]}]}}}]})");
  ASSERT_EQ(found.detections.size(), 2U);
  EXPECT_EQ(found.detections[0].box, (Box{5, 6, 7, 8}));
  EXPECT_THAT(found.dominant, ElementsAre("a bottle"));
}

TEST(ReadProducts, NothingFoundIsAnAnswerAndAnotherDocumentIsNone) {
  EXPECT_TRUE(products(predictions("")).detections.empty());
  const auto said = [](const std::string& body) { return complaint(read_products(body, kSame, 0.5, 10)); };
  EXPECT_THAT(said("{}"), HasSubstr("predictions"));
  EXPECT_THAT(said(R"({"predictions": {}})"), HasSubstr("predictions"));
  EXPECT_THAT(said(R"({"predictions": [{"label": "x", "box": [1, 2, 3, 4]}]})"), HasSubstr("class"));
  EXPECT_THAT(said("[]"), HasSubstr("predictions"));
  EXPECT_THAT(said(""), HasSubstr("empty"));
  EXPECT_THAT(said(" \n<html><body>502</body></html>"), HasSubstr("web page"));
  EXPECT_THAT(said(R"({"predictions": [)"), HasSubstr("JSON"));
  EXPECT_TRUE(products(R"({"predictions": [], "x": 1e999, "y": "\ud83d"})").detections.empty());
  EXPECT_THAT(said(std::string(100'000, '[')), HasSubstr("deep"));
  EXPECT_THAT(said(std::string(10'000'000, ',')), HasSubstr("values"));
  EXPECT_THAT(said(std::string(17 << 20, ' ')), HasSubstr("more than"));
  EXPECT_EQ(read_products(predictions(""), {}, 0.5, 10).error().code, ErrorCode::kInvalidArgument);
}

TEST(ReadProducts, NumbersThatAreNoneStayInTexts) {
  const auto found = products(predictions(prediction(R"(NaN \" Infinity, [)", "0.9", "[1, 2, 3, 4]")));
  ASSERT_EQ(found.detections.size(), 1U);
  EXPECT_EQ(found.detections[0].name, "NaN \" Infinity, [");
}

std::string text_of(const std::string& body) {
  const auto read = read_description(body);
  return read ? read->text : "error: " + read.error().message;
}
std::string message(const json& content) { return json{{"choices", {{{"message", {{"content", content}}}}}}}.dump(); }

TEST(ReadDescription, OfEachForm) {
  EXPECT_EQ(text_of(R"({"text": "A dog.\n"})"), "A dog.");
  EXPECT_EQ(text_of(message("A dog.")), "A dog.");
  EXPECT_EQ(
      text_of(message({{{"type", "text"}, {"text", "A"}}, {{"type", "image"}}, {{"type", "text"}, {"text", "dog."}}})),
      "A dog.");
  EXPECT_EQ(text_of(R"({"text": null, "choices": [{"message": {"content": "A dog."}}]})"), "A dog.");
}

TEST(ReadDescription, WithoutThoughtsAndControlCharacters) {
  EXPECT_EQ(text_of(message("<think>\nIs it a dog?</think>\n\nA dog.")), "A dog.");
  EXPECT_EQ(text_of(message("It has ears.</think>A dog.")), "A dog.");
  EXPECT_THAT(text_of(message(" <think>Is it")), HasSubstr("max_tokens"));
  EXPECT_EQ(text_of("{\"text\": \"A\\u001b[2J dog\\u009b \\u0000 x\"}"), "A [2J dog x");
  EXPECT_EQ(text_of("{\"text\": \"A \xff dog\"}"), "A \xEF\xBF\xBD dog");
}

TEST(ReadDescription, IsBounded) {
  const auto read = read_description(json{{"text", std::string(10'000'000, 'a')}}.dump());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text.size(), 20'000U);
}

TEST(ReadDescription, OfWhatSaysNothing) {
  for (const char* body :
       {"{}", "null", "7", R"({"text": ""})", R"({"text": 7})", R"({"choices": []})", R"({"choices": {}})",
        R"({"choices": [{"message": {"content": null}}]})", R"({"choices": [{"message": "x"}]})", "<p>"})
    EXPECT_EQ(read_description(body).error().code, ErrorCode::kCorrupt) << body;
}

TEST(ReadVectors, OfEachFormAndOfLengthOne) {
  for (const char* body : {R"({"data": [{"index": 1, "embedding": [3, 4]}]})", R"({"embedding": [3, 4]})",
                           R"({"embeddings": [[3, 4]]})", R"({"image_embedding": [3, 4], "text_embedding": [1, 0]})",
                           R"({"image_embeddings": null, "text_embeddings": [[3, 4]]})"}) {
    const auto vectors = read_vectors(body, 1);
    ASSERT_TRUE(vectors) << vectors.error().message << body;
    EXPECT_THAT(vectors->at(0), ElementsAre(0.6F, 0.8F)) << body;
  }
}

TEST(ReadVectors, InTheOrderOfTheAnswer) {
  const auto vectors =
      read_vectors(R"({"data": [{"index": 2, "embedding": [0, 2]}, {"index": 1, "embedding": [2, 0]}]})", 2);
  ASSERT_TRUE(vectors);
  EXPECT_THAT(*vectors, ElementsAre(ElementsAre(0.0F, 1.0F), ElementsAre(1.0F, 0.0F)));
}

TEST(ReadVectors, OfWhatHasNone) {
  for (const char* body : {"{}", "[]", R"({"data": []})", R"({"data": [{"embedding": [3, 4]}, {"embedding": [3, 4]}]})",
                           R"({"embedding": [0, 0]})", R"({"embedding": [NaN, 1]})", R"({"embedding": [1e308, 1e308]})",
                           R"({"embedding": ["3", 4]})", R"({"embedding": [3]})",
                           R"({"data": [{"embedding": "AAAA"}]})", R"({"data": {"embedding": [3, 4]}})"})
    EXPECT_EQ(read_vectors(body, 1).error().code, ErrorCode::kCorrupt) << body;
  EXPECT_EQ(read_vectors(R"({"data": [[3, 4], [1, 2, 3]]})", 2).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace image_engine::nvidia
