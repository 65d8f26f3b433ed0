// From a photo's file to a detector's input, beside the processors that these models were trained with:
// tests/vision/detector_pixels.* is what tools/reference/detector_pixels.py wrote.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "preprocess/plan.h"
#include "worker/decode_file.h"

namespace image_engine::vision {
namespace {

const std::string kPixelsReference = IE_SOURCE_DIR "/tests/vision/detector_pixels";
const std::string kPhotos = IE_SOURCE_DIR "/build/samples/photos/";

using preprocess::Plan;
constexpr std::array<float, 3> kMean{123.675F, 116.28F, 103.53F}, kDeviation{58.395F, 57.12F, 57.375F};

// As the specs in config/models.yaml and docs/models.md have them.
const std::map<std::string, Plan> kPlans{
    {"detr",
     {.width = 800,
      .height = 800,
      .fit = preprocess::Fit::kShortEdge,
      .longest = 1333,
      .mean = kMean,
      .deviation = kDeviation}},
    {"dfine", {.width = 640, .height = 640, .deviation = {255, 255, 255}}},
    {"segformer", {.width = 512, .height = 512, .mean = kMean, .deviation = kDeviation}},
    {"yolo",
     {.width = 640,
      .height = 640,
      .fit = preprocess::Fit::kLetterbox,
      .filter = preprocess::Filter::kLinear,
      .pad = {114, 114, 114},
      .deviation = {255, 255, 255}}},
};

Image decode(worker::Pool& pool, const std::string& path) {
  const worker::DecodedFile decoded = worker::decode_file(pool, path, {}).value();
  const ImageView pixels = decoded.pixels();
  return {pixels.width, pixels.height, {pixels.pixels.begin(), pixels.pixels.end()}};
}

struct Difference {
  double mean = 0, largest = 0;
};
// Of every row_step'th row's every column_step'th pixel, in levels of 255.
Difference difference(const Plan& plan, const Tensor& tensor, std::string_view expected, std::size_t row_step,
                      std::size_t column_step) {
  const auto values = tensor.as<float>();
  const auto height = static_cast<std::size_t>(tensor.shape[2]), width = static_cast<std::size_t>(tensor.shape[3]);
  Difference found;
  std::size_t at = 0;
  for (std::size_t y = 0; y < height; y += row_step)
    for (std::size_t x = 0; x < width; x += column_step)
      for (std::size_t channel = 0; channel < 3; ++channel, ++at) {
        const double value = double{values[(channel * height + y) * width + x]};
        const double level = value * double{plan.deviation[channel]} + double{plan.mean[channel]};
        const double off = std::abs(level - static_cast<std::uint8_t>(expected[at]));
        found.mean += off;
        found.largest = std::max(found.largest, off);
      }
  found.mean /= static_cast<double>(at);
  return found;
}

TEST(DetectorPixels, AreTheReferences) {
  const auto reference = nlohmann::json::parse(read_file(kPixelsReference + ".json").value());
  const std::string bytes = read_file(kPixelsReference + ".u8").value();
  const auto& photos = reference["photos"];
  if (!std::filesystem::exists(kPhotos + "messi5.jpg")) GTEST_SKIP() << "no samples: tools/setup.sh fetches them";
  ASSERT_GE(photos.size(), 20U);
  const auto pool = worker::Pool::create({}).value();
  std::vector<Image> pictures;
  for (const auto& photo : photos) pictures.push_back(decode(*pool, kPhotos + photo["file"].get<std::string>()));
  const std::size_t row_step = reference["row_step"], column_step = reference["column_step"];
  std::size_t begin = 0;
  for (const auto& processor : reference["processors"]) {
    const std::string name = processor["name"];
    const Plan& plan = kPlans.at(name);
    Difference worst;
    for (std::size_t i = 0; i < photos.size(); ++i) {
      const Image& picture = pictures[i];
      const auto prepared = preprocess::prepare(plan, {picture.width, picture.height, picture.pixels}).value();
      const std::size_t width = processor["sizes"][i][0], height = processor["sizes"][i][1];
      ASSERT_EQ(prepared.tensor.shape[3], static_cast<std::int64_t>(width)) << name << ' ' << photos[i]["file"];
      ASSERT_EQ(prepared.tensor.shape[2], static_cast<std::int64_t>(height)) << name << ' ' << photos[i]["file"];
      const std::size_t count =
          ((height + row_step - 1) / row_step) * ((width + column_step - 1) / column_step) * std::size_t{3};
      ASSERT_LE(begin + count, bytes.size());
      const auto off =
          difference(plan, prepared.tensor, std::string_view(bytes).substr(begin, count), row_step, column_step);
      EXPECT_LE(off.mean, 1) << name << ' ' << photos[i]["file"];
      worst = {std::max(worst.mean, off.mean), std::max(worst.largest, off.largest)};
      begin += count;
    }
    std::cout << "  " << name << ": " << photos.size() << " photos, worst mean difference " << worst.mean
              << " of 255, largest of all " << worst.largest << '\n';
  }
  EXPECT_EQ(begin, bytes.size());
}

}  // namespace
}  // namespace image_engine::vision
