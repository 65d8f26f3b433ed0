#include "vision/objects.h"
#include "tests/vision/detect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "models/spec_file.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "tests/vision/detect.h"
#include "tests/vision/fake_session.h"
#include "vision/heads.h"

namespace image_engine::vision {
namespace {

using testing::HasSubstr;

const std::string kHeadInputs = "vision_heads/";

Tensor read_tensor(const nlohmann::json& json) {
  const std::string bytes = bytes_of(kHeadInputs + json["file"].get<std::string>());
  Tensor tensor = Tensor::zeros(ElementType::kFloat32, json["shape"]);
  EXPECT_EQ(bytes.size(), tensor.data.size());
  std::memcpy(tensor.data.data(), bytes.data(), std::min(bytes.size(), tensor.data.size()));
  return tensor;
}

std::vector<std::string> labels(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("thing " + std::to_string(i));
  return names;
}

const infer::TensorInfo& planned(std::int64_t width, std::int64_t height, infer::TensorInfo& info) {
  info = {"images", ElementType::kFloat32, {-1, 3, height, width}};
  return info;
}

models::Spec spec_of(const std::string& head, std::uint32_t width, std::uint32_t height, std::size_t classes) {
  models::Spec spec;
  spec.name = "test";
  spec.head = head;
  spec.input.width = width, spec.input.height = height;
  spec.labels = labels(classes);
  return spec;
}

std::unique_ptr<FakeSession> session_of(std::int64_t width, std::int64_t height) {
  auto session = std::make_unique<FakeSession>();
  infer::TensorInfo info;
  session->inputs_ = {planned(width, height, info)};
  return session;
}

TEST(Objects, AreWhatNumpyReadsOfTheSameOutputs) {
  const auto manifest = json_of(kHeadInputs + "manifest.json");
  if (manifest.is_null()) GTEST_SKIP() << "no vision_heads: ctest makes them (vision_heads)";
  for (const auto& entry : manifest["cases"]) {
    auto spec = spec_of(entry["head"], entry["width"], entry["height"], entry["labels"]);
    spec.input.fit = entry["fit"];
    spec.head_options = entry["options"];
    auto session = session_of(entry["width"], entry["height"]);
    for (const auto& output : entry["outputs"]) {
      session->give(output["name"], read_tensor(output));
      spec.outputs.push_back(output["name"]);
    }
    const auto detector = ObjectDetector::create(spec, std::move(session));
    ASSERT_TRUE(detector) << spec.head << ": " << detector.error().message;
    const std::uint32_t width = entry["full"][0], height = entry["full"][1];
    const auto found = detect(*detector, width / 2, height / 2, width, height);
    const auto& expected = entry["objects"];
    ASSERT_EQ(found.size(), expected.size()) << spec.head;
    ASSERT_GE(found.size(), 5U) << spec.head;
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].label, expected[i][0]) << spec.head << ' ' << i;
      EXPECT_NEAR(found[i].confidence, expected[i][1], 1e-5) << spec.head << ' ' << i;
      const Box& box = found[i].box;
      const float sides[] = {box.x, box.y, box.width, box.height};
      for (std::size_t s = 0; s < 4; ++s) EXPECT_NEAR(sides[s], expected[i][2 + s], 2e-2) << spec.head << ' ' << i;
    }
  }
}

// A yolo model of three classes over 64 × 64 with these boxes: cx cy w h, then its class's score.
struct Row {
  float cx, cy, width, height, score;
  std::size_t label;
};
Tensor yolo_of(const std::vector<Row>& rows) {
  Tensor tensor = floats({1, 7, static_cast<std::int64_t>(rows.size())});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const float values[] = {rows[i].cx, rows[i].cy, rows[i].width, rows[i].height};
    for (std::size_t v = 0; v < 4; ++v) tensor.as<float>()[v * rows.size() + i] = values[v];
    tensor.as<float>()[(4 + rows[i].label) * rows.size() + i] = rows[i].score;
  }
  return tensor;
}
Result<ObjectDetector> yolo_detector(Tensor output, std::map<std::string, std::string> options = {}) {
  auto spec = spec_of("yolo", 64, 64, 3);
  spec.head_options = std::move(options);
  auto session = session_of(64, 64);
  session->give("out", std::move(output));
  return ObjectDetector::create(spec, std::move(session));
}

TEST(Objects, LieInThePhotoAndHaveAnExtent) {
  const auto detector = yolo_detector(yolo_of({{0, 0, 20, 20, 0.9F, 0},     // half outside
                                               {200, 32, 10, 10, 0.8F, 0},  // all outside
                                               {32, 32, 0, 10, 0.8F, 1},    // no width
                                               {32, 32, -8, 10, 0.8F, 1},   // less than none
                                               {32, 32, 1e30F, 1e30F, 0.7F, 2}}));
  ASSERT_OK(detector);
  const auto found = detect(*detector, 128, 64, 256, 128);  // stretched
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].box, (Box{0, 0, 40, 20}));
  EXPECT_EQ(found[1].box, (Box{0, 0, 256, 128}));
}

TEST(Objects, OfExtremePictures) {
  const auto detector = yolo_detector(yolo_of({{32, 32, 64, 64, 0.9F, 0}}));
  ASSERT_TRUE(detector);
  for (const auto& [width, height] : {std::pair{1U, 1U}, {1U, 3000U}, {3000U, 1U}, {7U, 7U}}) {
    const auto found = detect(*detector, width, height, width, height);
    ASSERT_EQ(found.size(), 1U) << width << 'x' << height;
    EXPECT_EQ(found[0].box, (Box{0, 0, static_cast<float>(width), static_cast<float>(height)}));
  }
  const std::vector<std::uint8_t> pixels(3);
  EXPECT_EQ(detector->detect({1, 1, pixels}, 0, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(detector->detect({}, 10, 10).error().code, ErrorCode::kInvalidArgument);
}

TEST(Objects, OfTenThousandBoxesAreTheBest) {
  std::vector<Row> rows;
  for (int i = 0; i < 10'000; ++i)
    rows.push_back(
        {static_cast<float>(i % 60), static_cast<float>(i / 60 % 60), 2, 2, 0.5F + static_cast<float>(i) / 2e4F, 0});
  const auto detector = yolo_detector(yolo_of(rows), {{"most", "300"}, {"nms", "1"}});
  ASSERT_TRUE(detector);
  const auto found = detect(*detector, 64, 64, 64, 64);
  ASSERT_EQ(found.size(), 300U);
  EXPECT_FLOAT_EQ(found[0].confidence, 0.5F + 9'999 / 2e4F);
  EXPECT_FLOAT_EQ(found[299].confidence, 0.5F + 9'700 / 2e4F);
}

TEST(Objects, OfAModelThatSeesNothing) {
  for (const Tensor& nothing : {floats({1, 7, 0}), floats({1, 7, 50})}) {
    const auto detector = yolo_detector(nothing);
    ASSERT_OK(detector);
    EXPECT_TRUE(detect(*detector, 10, 10, 10, 10).empty());
  }
}

TEST(Objects, ConfidencesAreAtMostOne) {
  const auto detector = yolo_detector(yolo_of({{32, 32, 64, 64, 7, 0}}));
  ASSERT_TRUE(detector);
  EXPECT_EQ(detect(*detector, 64, 64, 64, 64)[0].confidence, 1);
}

struct Refusal {
  ErrorCode code;
  std::string message;
};
template <typename T>
Refusal refusal(const Result<T>& result) {
  return result ? Refusal{ErrorCode::kInternal, "not refused"} : Refusal{result.error().code, result.error().message};
}

void expect_refused(const Refusal& refused, ErrorCode code, const std::string& part) {
  EXPECT_EQ(refused.code, code) << refused.message;
  EXPECT_THAT(refused.message, HasSubstr(part));
  EXPECT_THAT(refused.message, HasSubstr("test"));  // the model's name
}

TEST(Objects, NumbersThatAreNoneAreRefused) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    Tensor output = floats({1, 7, 20});
    output.as<float>()[133] = bad;
    expect_refused(refusal(yolo_detector(output)), ErrorCode::kCorrupt, "NaN or infinite");
  }
}

TEST(Objects, WholeNumbersWhereFractionsBelongAreRefused) {
  expect_refused(refusal(yolo_detector(Tensor::zeros(ElementType::kInt64, {1, 7, 20}))), ErrorCode::kCorrupt,
                 "[1,7,20] is not of float32");
}

TEST(Objects, LabelsAreAsManyAsClasses) {
  expect_refused(refusal(yolo_detector(floats({1, 8, 20}))), ErrorCode::kInvalidArgument, "4 classes, its spec has 3");
}

// What a head says to these outputs, on an input of 64 × 64 and five labels.
Refusal outputs_refused(const std::string& head, std::vector<Tensor> outputs,
                        std::map<std::string, std::string> options = {}) {
  auto spec = spec_of(head, 64, 64, 5);
  spec.head_options = std::move(options);
  auto session = session_of(64, 64);
  for (auto& output : outputs) session->give("out" + std::to_string(session->outputs_.size()), std::move(output));
  return refusal(ObjectDetector::create(spec, std::move(session)));
}

TEST(Heads, RefuseOutputsOfOthers) {
  const auto s8 = floats({1, 64, 5}), d8 = floats({1, 64, 44}), s16 = floats({1, 16, 5}), d16 = floats({1, 16, 44});
  ASSERT_EQ(outputs_refused("nanodet", {s8, d8, s16, d16}).message, "not refused");
  ASSERT_EQ(outputs_refused("nanodet", {d16, s8, d8, s16}).message, "not refused");
  const auto corrupt = [](const Refusal& refused) { expect_refused(refused, ErrorCode::kCorrupt, ""); };
  corrupt(outputs_refused("nanodet", {}));
  corrupt(outputs_refused("nanodet", {s8, d8, s16}));
  corrupt(outputs_refused("nanodet", {s8, d8, s16, s16}));
  corrupt(outputs_refused("nanodet", {s8, d16, s16, d8, s8, d8, s8, s8}));
  corrupt(outputs_refused("nanodet", {floats({1, 63, 5}), floats({1, 63, 44}), s16, d16}));
  corrupt(outputs_refused("nanodet", {floats({1, 5, 64}), floats({1, 44, 64}), s16, d16}));
  corrupt(outputs_refused("nanodet", {floats({64, 5}), floats({64, 44}), s16, d16}));
  corrupt(outputs_refused("nanodet", {floats({2, 64, 5}), floats({2, 64, 44}), s16, d16}));
  corrupt(outputs_refused("centernet", {floats({1, 5, 16, 16}), floats({1, 4, 16, 16})}));
  corrupt(outputs_refused("centernet", {floats({1, 16, 16, 5}), floats({1, 16, 8, 4})}));
  corrupt(outputs_refused("centernet", {floats({1, 256, 5}), floats({1, 256, 4})}));
  corrupt(outputs_refused("queries", {floats({1, 9, 5}), floats({1, 8, 4})}));
  corrupt(outputs_refused("queries", {floats({1, 9, 5}), floats({1, 9, 5})}));
  corrupt(outputs_refused("queries", {floats({1, 9, 5})}));
  corrupt(outputs_refused("yolo", {floats({1, 9, 20}), floats({1, 9, 20})}));
  corrupt(outputs_refused("yolo", {floats({1, 9})}));
  corrupt(outputs_refused("yolo", {floats({})}));
  corrupt(outputs_refused("yolo", {Tensor::zeros(ElementType::kInt64, {1, 9, 20})}));
}

TEST(Heads, RefuseAnotherNumberOfClasses) {
  const auto wrong = [](const Refusal& refused) { expect_refused(refused, ErrorCode::kInvalidArgument, "classes"); };
  wrong(outputs_refused("nanodet", {floats({1, 64, 6}), floats({1, 64, 44}), floats({1, 16, 6}), floats({1, 16, 44})}));
  wrong(outputs_refused("centernet", {floats({1, 16, 16, 6}), floats({1, 16, 16, 4})}));
  wrong(outputs_refused("queries", {floats({1, 9, 6}), floats({1, 9, 4})}));
  wrong(outputs_refused("queries", {floats({1, 9, 5}), floats({1, 9, 4})}, {{"activation", "softmax"}}));
  wrong(outputs_refused("yolo", {floats({1, 3, 20})}));
  wrong(outputs_refused("yolo", {floats({1, 20, 9})}));
}

TEST(Heads, EmptyOutputsAreNoObjects) {
  EXPECT_EQ(outputs_refused("queries", {floats({1, 0, 5}), floats({1, 0, 4})}).message, "not refused");
  EXPECT_EQ(outputs_refused("centernet", {floats({1, 0, 0, 5}), floats({1, 0, 0, 4})}).message, "not refused");
}

TEST(Objects, AGraphMustFitItsSpec) {
  const auto refused = [](auto change_spec, auto change_session) {
    auto spec = spec_of("yolo", 64, 48, 3);
    auto session = session_of(64, 48);
    session->give("out", floats({1, 7, 5}));
    change_spec(spec), change_session(*session);
    return refusal(ObjectDetector::create(spec, std::move(session)));
  };
  const auto same_spec = [](models::Spec&) {};
  const auto same_graph = [](FakeSession&) {};
  ASSERT_EQ(refused(same_spec, same_graph).message, "not refused");
  ASSERT_EQ(refused(same_spec, [](FakeSession& s) { s.inputs_[0].shape = {1, 3, 48, 64}; }).message, "not refused");
  const auto graph = [&](auto change, const std::string& part) {
    expect_refused(refused(same_spec, change), ErrorCode::kCorrupt, part);
  };
  graph([](FakeSession& s) { s.inputs_[0].shape = {1, 3, 64, 48}; }, "[1,3,64,48]");
  graph([](FakeSession& s) { s.inputs_[0].shape = {1, 48, 64, 3}; }, "[1,48,64,3]");
  graph([](FakeSession& s) { s.inputs_[0].shape = {8, 3, 48, 64}; }, "[8,3,48,64]");
  graph([](FakeSession& s) { s.inputs_[0].shape = {3, 48, 64}; }, "[3,48,64]");
  graph([](FakeSession& s) { s.inputs_[0].type = ElementType::kUint8; }, "type");
  graph([](FakeSession& s) { s.inputs_.clear(); }, "no input");
  graph([](FakeSession& s) { s.inputs_.push_back({"more", ElementType::kFloat32, {1}}); }, "more");
  const auto spec = [&](auto change, ErrorCode code, const std::string& part) {
    expect_refused(refused(change, same_graph), code, part);
  };
  spec([](models::Spec& s) { s.outputs = {"out", "gone"}; }, ErrorCode::kCorrupt, "gone");
  spec([](models::Spec& s) { s.input.name = "gone"; }, ErrorCode::kCorrupt, "images");
  spec([](models::Spec& s) { s.head = "nose"; }, ErrorCode::kInvalidArgument, "nanodet");
  spec([](models::Spec& s) { s.labels.clear(); }, ErrorCode::kInvalidArgument, "labels");
  for (const auto& [name, value] : {std::pair{"threshold", "1.5"},
                                    {"nms", "-1"},
                                    {"most", "0"},
                                    {"most", "301"},
                                    {"threshold", "much"},
                                    {"threshold", "nan"},
                                    {"activation", "relu"},
                                    {"nmz", "1"}})
    spec([&](models::Spec& s) { s.head_options[name] = value; }, ErrorCode::kInvalidArgument, name);
  spec([](models::Spec& s) { s.input.fit = "squash"; }, ErrorCode::kInvalidArgument, "squash");
  spec([](models::Spec& s) { s.input.type = "float16"; }, ErrorCode::kInvalidArgument, "float16");
  spec([](models::Spec& s) { s.input.mean = {1, 2}; }, ErrorCode::kInvalidArgument, "mean");
  spec([](models::Spec& s) { s.input.width = 0; }, ErrorCode::kInvalidArgument, "width");
}

TEST(Objects, APixelMaskIsAllOnes) {
  auto spec = spec_of("queries", 60, 60, 5);
  spec.input.fit = "short-edge", spec.input.longest = 90;
  auto session = std::make_unique<FakeSession>();
  session->inputs_ = {{"pixel_values", ElementType::kFloat32, {-1, 3, -1, -1}},
                      {"pixel_mask", ElementType::kInt64, {-1, -1, -1}}};
  session->give("logits", floats({1, 9, 5})), session->give("boxes", floats({1, 9, 4}));
  const auto& fake = *session;
  const auto detector = ObjectDetector::create(spec, std::move(session));
  ASSERT_OK(detector);
  detect(*detector, 80, 60, 80, 60);
  ASSERT_EQ(fake.seen_.size(), 2U);
  EXPECT_EQ(fake.seen_[0].shape, (std::vector<std::int64_t>{1, 3, 60, 80}));
  EXPECT_EQ(fake.seen_[1].shape, (std::vector<std::int64_t>{1, 60, 80}));
  EXPECT_THAT(fake.seen_[1].as<std::int64_t>(), testing::Each(1));
}

// As DETR's own processor pads: the picture at the top left, and places are fractions of it.
TEST(Objects, APixelMaskLeavesOutPadding) {
  for (const std::int64_t cells : {-1, 10}) {  // as large as the input, or ten by ten as some graphs have it
    auto spec = spec_of("queries", 100, 100, 5);
    spec.input.fit = "letterbox", spec.input.align = "top-left";
    auto session = std::make_unique<FakeSession>();
    session->inputs_ = {{"pixel_values", ElementType::kFloat32, {-1, 3, -1, -1}},
                        {"pixel_mask", ElementType::kInt64, {-1, cells, cells}}};
    auto logits = floats({1, 1, 5}, -9), boxes = floats({1, 1, 4}, 0.5F);
    logits.as<float>()[2] = 9;
    session->give("logits", std::move(logits)), session->give("boxes", std::move(boxes));
    const auto& fake = *session;
    const auto detector = ObjectDetector::create(spec, std::move(session));
    ASSERT_OK(detector);
    const auto found = detect(*detector, 80, 40, 800, 400);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].box, (Box{200, 100, 400, 200}));
    const auto mask = fake.seen_[1].as<std::int64_t>();
    ASSERT_EQ(mask.size(), cells < 0 ? 10'000U : 100U);
    for (std::size_t i = 0; i < mask.size(); ++i) ASSERT_EQ(mask[i], i < mask.size() / 2 ? 1 : 0) << i;
  }
}

Tensor whole_numbers(std::vector<std::int64_t> shape, std::int64_t value) {
  Tensor tensor = Tensor::zeros(ElementType::kInt64, std::move(shape));
  for (auto& element : tensor.as<std::int64_t>()) element = value;
  return tensor;
}

TEST(Heads, ProposalsAreChecked) {
  const auto refused = [](std::vector<Tensor> outputs) {
    return outputs_refused("fasterrcnn_dense", std::move(outputs));
  };
  const auto scores = floats({1, 3, 6}), offsets = floats({1, 3, 20}), proposals = floats({1, 3, 4});
  ASSERT_EQ(refused({scores, offsets, proposals}).message, "not refused");
  ASSERT_EQ(refused({floats({3, 6, 1, 1}), floats({3, 20}), floats({1, 3, 4, 1})}).message, "not refused");
  ASSERT_EQ(refused({floats({0, 6}), floats({0, 20}), floats({0, 4})}).message, "not refused");
  // Beyond what a number can be once e is raised to it.
  ASSERT_EQ(refused({floats({1, 3, 6}, 0.9F), floats({1, 3, 20}, 1e30F), proposals}).message, "not refused");
  expect_refused(refused({floats({1, 3, 7}), floats({1, 3, 24}), proposals}), ErrorCode::kInvalidArgument, "6 classes");
  const std::vector<Tensor> wrong[] = {{scores, offsets},
                                       {scores, offsets, floats({1, 2, 4})},
                                       {scores, offsets, proposals, proposals},
                                       {floats({2, 3, 6}), floats({2, 3, 20}), floats({2, 3, 4})},
                                       {floats({1, 3, 5}), floats({1, 3, 21}), proposals},
                                       {floats({6}), floats({20}), floats({4})},
                                       {scores, offsets, whole_numbers({1, 3, 4}, 0)}};
  for (const auto& outputs : wrong) expect_refused(refused(outputs), ErrorCode::kCorrupt, "fasterrcnn_dense");
}

TEST(Heads, DecodedOutputsAreChecked) {
  const auto boxes = floats({3, 4}, 9), scores = floats({3}, 0.9F);
  ASSERT_EQ(outputs_refused("fasterrcnn", {boxes, whole_numbers({3}, 4), scores}).message, "not refused");
  ASSERT_EQ(outputs_refused("fasterrcnn", {floats({0, 4}), whole_numbers({0}, 4), floats({0})}).message, "not refused");
  const auto wrong = [](const Refusal& refused, ErrorCode code, const char* part) {
    expect_refused(refused, code, part);
  };
  for (const std::int64_t label : {-1, 5, 1'000'000'000})
    wrong(outputs_refused("fasterrcnn", {boxes, whole_numbers({3}, label), scores}), ErrorCode::kInvalidArgument,
          "5 labels");
  wrong(outputs_refused("fasterrcnn", {boxes, whole_numbers({3}, 0), scores}, {{"first_label", "1"}}),
        ErrorCode::kInvalidArgument, "class 0");
  wrong(outputs_refused("fasterrcnn", {boxes, whole_numbers({2}, 0), scores}), ErrorCode::kCorrupt, "fasterrcnn");
  wrong(outputs_refused("fasterrcnn", {boxes, scores}), ErrorCode::kCorrupt, "fasterrcnn");
  const float none = std::numeric_limits<float>::quiet_NaN();
  wrong(outputs_refused("fasterrcnn", {floats({3, 4}, none), whole_numbers({3}, 0), scores}), ErrorCode::kCorrupt,
        "NaN or infinite");
  wrong(outputs_refused("batched_nms", {boxes, scores, scores, floats({2})}), ErrorCode::kCorrupt, "batched_nms");
  wrong(outputs_refused("yolo_rows", {floats({1, 3, 7})}), ErrorCode::kCorrupt, "yolo_rows");
  wrong(outputs_refused("nms_rows", {floats({1, 1, 3, 6})}), ErrorCode::kCorrupt, "nms_rows");
  // The number of rows is the model's word: never more than there are.
  for (const std::int64_t told : {-5L, 0L, 3L, 4'000'000'000L})
    EXPECT_EQ(outputs_refused("nms_rows", {floats({1, 1, 3, 7}, 0.5F), whole_numbers({1}, told)}).message,
              "not refused");
}

TEST(Heads, AnchorsMustBeThoseOfTheModel) {
  const std::map<std::string, std::string> options{{"sizes", "16 32"}, {"strides", "16 32"}, {"ratios", "1 2"}};
  const auto with = [&](const char* name, const char* value) {
    auto changed = options;
    changed[name] = value;
    return changed;
  };
  const auto classes = floats({1, 40, 5}, -9), offsets = floats({1, 40, 4});  // (16 + 4) cells of two anchors
  ASSERT_EQ(outputs_refused("anchors", {classes, offsets}, options).message, "not refused");
  ASSERT_EQ(outputs_refused("anchors", {offsets, classes}, options).message, "not refused");
  const auto wrong = [&](const char* name, const char* value, const char* part) {
    expect_refused(outputs_refused("anchors", {classes, offsets}, with(name, value)), ErrorCode::kInvalidArgument,
                   part);
  };
  wrong("ratios", "1", "anchors are 20");
  wrong("strides", "16", "strides");
  wrong("anchors", "3x4; 5x6", "anchors");
  wrong("variances", "1 1 1", "variances");
  wrong("sizes", "16 -32", "sizes");
  wrong("sizes", "", "sizes");
  wrong("sizes", "16 nan", "sizes");
  wrong("background", "middle", "background");
  wrong("scale_xy", "1", "no option 'scale_xy'");
  expect_refused(outputs_refused("anchors", {classes, offsets}), ErrorCode::kInvalidArgument, "anchors");
  expect_refused(outputs_refused("anchors", {floats({1, 40, 6}), offsets}, options), ErrorCode::kInvalidArgument,
                 "6 classes");
  expect_refused(
      outputs_refused("anchors",
                      {floats({1, 10, 4, 4}), floats({1, 10, 2, 2}), floats({1, 8, 4, 4}), floats({1, 8, 4, 4})},
                      options),
      ErrorCode::kCorrupt, "anchors");
  for (const char* text : {"3x", "x3", "3", "3x4;;x", "0x3", "1e9x1", "inf x 3"})
    expect_refused(outputs_refused("yolo_anchors", {floats({1, 10, 4, 4})}, {{"anchors", text}}),
                   ErrorCode::kInvalidArgument, "anchors");
  ASSERT_EQ(outputs_refused("yolo_anchors", {floats({1, 10, 4, 4}, -9)}, {{"anchors", "3x4"}}).message, "not refused");
  expect_refused(outputs_refused("yolo_anchors", {floats({1, 11, 4, 4})}, {{"anchors", "3x4"}}), ErrorCode::kCorrupt,
                 "5 labels");
}

TEST(Heads, HugeOffsetsAreBoxesOfTheWholePhoto) {
  auto spec = spec_of("anchors", 64, 64, 1);
  spec.head_options = {{"sizes", "16"}, {"strides", "64"}};
  auto session = session_of(64, 64);
  session->give("classes", floats({1, 1, 1}, 1e30F)), session->give("offsets", floats({1, 1, 4}, 0));
  session->values_[1].as<float>()[2] = session->values_[1].as<float>()[3] = 1e30F;
  const auto detector = ObjectDetector::create(spec, std::move(session));
  ASSERT_OK(detector);
  const auto found = detect(*detector, 64, 64, 640, 640);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].box, (Box{0, 0, 640, 640}));
}

TEST(Heads, ReadTheCatalogue) {
  const auto specs = models::read_specs(IE_SOURCE_DIR "/config/models.yaml", {}, false);
  ASSERT_OK(specs);
  std::size_t detectors = 0;
  for (const auto& [name, spec] : *specs) {
    if (spec.task != "objects") continue;
    ++detectors;
    const auto head = find_head(spec);
    ASSERT_OK(head);
    const auto options = read_options(spec, **head);
    EXPECT_OK(options);
    EXPECT_TRUE(plan_of(spec)) << name;
  }
  EXPECT_GE(detectors, 6U);
}

TEST(PlanOf, TakesEveryMemberOfTheSpec) {
  models::Spec spec;
  spec.input = {.name = "x",
                .width = 416,
                .height = 320,
                .fit = "letterbox",
                .align = "top-left",
                .filter = "bicubic",
                .layout = "nhwc",
                .order = "bgr",
                .type = "uint8",
                .resize_edge = 500,
                .longest = 600,
                .pad = {1, 2, 3},
                .mean = {4, 5, 6},
                .deviation = {7, 8, 9}};
  const auto plan = plan_of(spec);
  ASSERT_OK(plan);
  EXPECT_EQ(*plan, (preprocess::Plan{.width = 416,
                                     .height = 320,
                                     .fit = preprocess::Fit::kLetterbox,
                                     .align = preprocess::Align::kTopLeft,
                                     .filter = preprocess::Filter::kBicubic,
                                     .resize_edge = 500,
                                     .longest = 600,
                                     .pad = {1, 2, 3},
                                     .layout = preprocess::Layout::kNhwc,
                                     .order = preprocess::ChannelOrder::kBgr,
                                     .mean = {4, 5, 6},
                                     .deviation = {7, 8, 9},
                                     .type = ElementType::kUint8}));
}

TEST(Suppress, KeepsOtherClassesAndTheEarlierOfEquals) {
  const std::vector<BoxCandidate> candidates{{0, 0, 10, 10, 0.5F, 1},
                                             {1, 0, 11, 10, 0.5F, 1},
                                             {0, 0, 10, 10, 0.9F, 2},
                                             {50, 50, 50, 50, 0.5F, 1},
                                             {50, 50, 50, 50, 0.5F, 1}};
  const auto kept = suppress(candidates, 0.5F, 100);
  ASSERT_EQ(kept.size(), 4U);  // boxes without area overlap nothing
  EXPECT_EQ(kept[0].label, 2U);
  EXPECT_EQ(kept[1].x1, 0);
  EXPECT_EQ(suppress(candidates, 1, 100).size(), 5U);
  EXPECT_EQ(suppress(candidates, 0.5F, 1).size(), 1U);
  EXPECT_TRUE(suppress({}, 0.5F, 100).empty());
}

TEST(Suppress, KeepsTheOrderOfEquals) {
  std::vector<BoxCandidate> candidates;
  for (int i = 0; i < 1000; ++i)
    candidates.push_back({static_cast<float>(i), 0, static_cast<float>(i) + 1, 1, 0.5F, 0});
  const auto kept = suppress(candidates, 0.5F, 1000);
  ASSERT_EQ(kept.size(), 1000U);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(kept[static_cast<std::size_t>(i)].x1, static_cast<float>(i));
}

}  // namespace
}  // namespace image_engine::vision
