// Every family of detectors through the real runtime, beside independent readings of the same outputs:
// tests/golden/detectors.json is what tools/reference/detectors.py wrote, the graphs are the ctest entry
// vision_detectors'.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "infer/session.h"
#include "tests/support/ok.h"
#include "tests/vision/detect.h"
#include "vision/heads.h"
#include "vision/objects.h"

namespace image_engine::vision {
namespace {

const std::string kDetectorInputs = "vision_detectors/";

nlohmann::json cases() {
  const auto text = read_file(kDetectorInputs + "manifest.json");
  return text ? nlohmann::json::parse(*text)["cases"] : nlohmann::json();
}
nlohmann::json reference() {
  return nlohmann::json::parse(read_file(IE_SOURCE_DIR "/tests/golden/detectors.json").value());
}

models::Spec spec_of(const nlohmann::json& entry) {
  models::Spec spec;
  spec.name = entry["name"], spec.head = entry["head"];
  spec.head_options = entry["options"];
  spec.input.name = "pixel_values";
  spec.input.width = entry["width"], spec.input.height = entry["height"], spec.input.longest = entry["longest"];
  spec.input.fit = entry["fit"], spec.input.align = entry["align"];
  for (int i = 0; i < entry["labels"].get<int>(); ++i) spec.labels.push_back("thing " + std::to_string(i));
  spec.outputs = entry["outputs"];
  return spec;
}

Result<ObjectDetector> detector_of(const models::Spec& spec) {
  return ObjectDetector::create(spec, infer::Session::create(kDetectorInputs + spec.name + ".onnx", {}).value());
}

double overlap(const Box& box, const nlohmann::json& other) {
  const double x = other[2], y = other[3], width = other[4], height = other[5];
  const double across = std::min(box.x + double{box.width}, x + width) - std::max(double{box.x}, x);
  const double down = std::min(box.y + double{box.height}, y + height) - std::max(double{box.y}, y);
  const double shared = std::max(across, 0.0) * std::max(down, 0.0);
  return shared / (double{box.width} * box.height + width * height - shared);
}

// The best overlap of those of the reference with this label and score.
double best_overlap(const DetectedObject& object, const nlohmann::json& expected) {
  double best = 0;
  for (const auto& other : expected)
    if (other[0] == object.label && std::abs(other[1].get<double>() - double{object.confidence}) <= 0.005)
      best = std::max(best, overlap(object.box, other));
  return best;
}

TEST(Detectors, FindWhatTheReferencesFind) {
  const auto listed = cases(), golden = reference();
  if (listed.empty()) GTEST_SKIP() << "no vision_detectors: ctest makes them (vision_detectors)";
  ASSERT_GE(listed.size(), 20U);
  const std::uint32_t width = golden["full"][0], height = golden["full"][1];
  for (const auto& entry : listed) {
    const auto spec = spec_of(entry);
    const auto& known = golden["cases"][spec.name];
    ASSERT_EQ(known["sha256"], entry["sha256"]) << spec.name << ": not the outputs that the reference read";
    const auto detector = detector_of(spec);
    ASSERT_OK(detector);
    const auto found = detect(*detector, width / 2, height / 2, width, height);
    const auto& expected = known["objects"];
    EXPECT_EQ(found.size(), expected.size()) << spec.name;
    EXPECT_GE(found.size(), 20U) << spec.name;
    double worst = 1;
    for (const DetectedObject& object : found) worst = std::min(worst, best_overlap(object, expected));
    EXPECT_GE(worst, 0.99) << spec.name;
    std::cout << "  " << spec.name << ": " << found.size() << " objects, least IoU " << worst << '\n';
  }
}

// A test that reads its outputs wrongly must not pass: these are the usual mistakes.
TEST(Detectors, MistakesShow) {
  const auto listed = cases(), golden = reference();
  if (listed.empty()) GTEST_SKIP() << "no vision_detectors: ctest makes them (vision_detectors)";
  const std::tuple<const char*, const char*, const char*> mistakes[] = {
      {"yolov4", "scale_xy", "1"},        {"yolov5-raw", "growth", "exp"},
      {"retinanet", "centre", "0.5"},     {"efficientdet", "order", "ratios"},
      {"efficientdet", "axes", "xy"},     {"ssd", "variances", "1 1 1 1"},
      {"ssd", "background", "last"},      {"detectnet", "bbox_norm", "16"},
      {"tao-yolov4", "unit", "pixels"},   {"tao-efficientdet", "axes", "xy"},
      {"fasterrcnn", "first_label", "0"}, {"tao-fasterrcnn", "variances", "0.2 0.2 0.1 0.1"},
  };
  for (const auto& [name, option, value] : mistakes) {
    const auto entry = std::ranges::find(listed, name, [](const auto& listed_case) { return listed_case["name"]; });
    auto spec = spec_of(*entry);
    spec.head_options[option] = value;
    const auto detector = detector_of(spec);
    if (!detector) continue;  // told at once
    const auto found = detect(*detector, 500, 350, 1000, 700);
    double worst = found.empty() ? 0 : 1;
    for (const auto& object : found) worst = std::min(worst, best_overlap(object, golden["cases"][name]["objects"]));
    EXPECT_LT(worst, 0.99) << name << ' ' << option;
  }
}

TEST(Detectors, OfPhotosThatAreNoPhotos) {
  const auto listed = cases();
  if (listed.empty()) GTEST_SKIP() << "no vision_detectors: ctest makes them (vision_detectors)";
  for (const auto& entry : listed) {
    const auto detector = detector_of(spec_of(entry));
    ASSERT_OK(detector);
    for (const auto& [width, height] : {std::pair{1U, 1U}, {5U, 7U}, {2000U, 100U}, {100U, 2000U}, {1U, 1500U}})
      for (const DetectedObject& object : detect(*detector, width, height, width, height)) {
        EXPECT_GE(object.box.x, 0) << entry["name"];
        EXPECT_GE(object.box.y, 0) << entry["name"];
        EXPECT_LE(object.box.x + object.box.width, static_cast<float>(width) + 1e-3F) << entry["name"];
        EXPECT_LE(object.box.y + object.box.height, static_cast<float>(height) + 1e-3F) << entry["name"];
      }
  }
}

TEST(Detectors, AnotherNumberOfLabelsIsRefused) {
  const auto listed = cases();
  if (listed.empty()) GTEST_SKIP() << "no vision_detectors: ctest makes them (vision_detectors)";
  for (const auto& entry : listed) {
    auto spec = spec_of(entry);
    spec.labels.resize(2);
    const auto detector = detector_of(spec);
    EXPECT_FALSE(detector) << spec.name;
    if (!detector) {
      EXPECT_NE(detector.error().message.find(spec.name), std::string::npos) << detector.error().message;
    }
  }
}

// Outputs in another order are told apart by their shapes and types.
TEST(Detectors, OutputsMayComeInAnyOrder) {
  const auto listed = cases(), golden = reference();
  if (listed.empty()) GTEST_SKIP() << "no vision_detectors: ctest makes them (vision_detectors)";
  for (const auto& entry : listed) {
    auto spec = spec_of(entry);
    if (spec.name == "tao-yolov4") continue;  // its scores and classes look alike
    if (spec.name == "centerface") continue;  // its sizes and offsets do
    std::ranges::reverse(spec.outputs);
    const auto detector = detector_of(spec);
    ASSERT_OK(detector);
    EXPECT_EQ(detect(*detector, 500, 350, 1000, 700).size(), golden["cases"][spec.name]["objects"].size()) << spec.name;
  }
}

}  // namespace
}  // namespace image_engine::vision
