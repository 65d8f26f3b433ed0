// Detectors end to end beside the reference scripts of tools/reference, on the same decoded photos.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "vision/objects.h"

#include "tests/support/files.h"
#include "tests/support/ok.h"

namespace image_engine::vision {
namespace {

const std::string kReferenceInputs = "vision_references/";
constexpr double kNear = 0.01;  // scores this near to the threshold may fall on either side of it

models::Spec nanodet() {
  models::Spec spec;
  spec.head = "nanodet";
  spec.input.width = spec.input.height = 416;
  spec.input.order = "bgr";
  spec.input.mean = {103.53, 116.28, 123.675}, spec.input.deviation = {57.375, 57.12, 58.395};
  spec.outputs = {"scores_8", "distances_8", "scores_16", "distances_16", "scores_32", "distances_32"};
  return spec;
}

models::Spec centernet() {
  models::Spec spec;
  spec.head = "centernet";
  spec.input.width = spec.input.height = 512;
  spec.outputs = {"keypoints", "wh"};
  return spec;
}

// CenterNet answers a difference of one grey level in a hundredth of the samples with more than NanoDet does.
struct ReferenceDetector {
  models::Spec (*spec)();
  double least_overlap;
};
const std::map<std::string, ReferenceDetector> kDetectors{{"nanodet", {nanodet, 0.99}},
                                                          {"centernet", {centernet, 0.98}}};

struct Found {
  std::uint32_t label;
  double score, x, y, width, height;
};
Found found_of(const nlohmann::json& json) { return {json[0], json[1], json[2], json[3], json[4], json[5]}; }
Found found_of(const DetectedObject& object) {
  return {object.label, object.confidence, object.box.x, object.box.y, object.box.width, object.box.height};
}

double overlap(const Found& a, const Found& b) {
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  const double common = std::max(0.0, width) * std::max(0.0, height);
  return common / (a.width * a.height + b.width * b.height - common);
}

double best_overlap(const Found& one, const std::vector<Found>& others) {
  double best = 0;
  for (const Found& other : others)
    if (other.label == one.label && std::abs(other.score - one.score) <= 0.005)
      best = std::max(best, overlap(one, other));
  return best;
}

TEST(References, FindTheSameObjects) {
  const auto manifest = json_of(kReferenceInputs + "manifest.json");
  if (manifest.is_null())
    GTEST_SKIP() << "no detector in build/models when vision_references ran: image-engine models pull";
  ASSERT_GE(manifest["photos"].size(), 20U);
  for (const auto& entry : manifest["detectors"]) {
    const double threshold = entry["threshold"];
    const ReferenceDetector& known = kDetectors.at(entry["model"]);
    models::Spec spec = known.spec();
    spec.name = entry["model"];
    spec.input.fit = "letterbox";
    spec.labels.assign(80, "thing");
    spec.head_options["threshold"] = std::to_string(threshold - kNear);
    auto session = infer::Session::create(entry["file"], {});
    ASSERT_OK(session);
    const auto detector = ObjectDetector::create(spec, std::move(*session));
    ASSERT_OK(detector);
    double least = 1;
    int compared = 0;
    for (std::size_t i = 0; i < manifest["photos"].size(); i += IE_EACH_NTH) {
      const auto& photo = manifest["photos"][i];
      const std::string name = spec.name + ' ' + photo["file"].get<std::string>();
      const auto pixels = samples_of(kReferenceInputs + photo["file"].get<std::string>());
      const std::uint32_t width = photo["width"], height = photo["height"];
      const auto objects = detector->detect({width, height, pixels}, width, height);
      ASSERT_TRUE(objects) << name << ": " << objects.error().message;
      std::vector<Found> mine, theirs;
      for (const auto& object : *objects) mine.push_back(found_of(object));
      for (const auto& object : entry["photos"][i]) theirs.push_back(found_of(object));
      const auto all_in = [&](const std::vector<Found>& these, const std::vector<Found>& those, const char* what) {
        for (const Found& one : these) {
          if (one.score <= threshold + kNear) continue;
          const double same = best_overlap(one, those);
          EXPECT_GE(same, known.least_overlap) << name << ": " << what << " label " << one.label << " at " << one.score;
          least = std::min(least, same);
          ++compared;
        }
      };
      all_in(theirs, mine, "the reference's");
      all_in(mine, theirs, "ours");
    }
    EXPECT_GE(compared, 20 / IE_EACH_NTH) << spec.name;
    std::cout << "  " << spec.name << ": " << compared << " objects both ways, least IoU " << least << '\n';
  }
}

}  // namespace
}  // namespace image_engine::vision
