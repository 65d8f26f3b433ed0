#include "preprocess/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "preprocess/resample.h"
#include "tests/support/files.h"

namespace image_engine::preprocess {
namespace {

const std::string kFolder = "preprocess_inputs/";

Plan plan_from(const nlohmann::json& json) {
  Plan plan;
  plan.width = json["width"], plan.height = json["height"];
  plan.fit = fit_from_name(json.value("fit", "stretch")).value();
  plan.align = align_from_name(json.value("align", "centre")).value();
  plan.filter = filter_from_name(json.value("filter", "bilinear")).value();
  plan.resize_edge = json.value("resize_edge", 0U);
  plan.longest = json.value("longest", 0U);
  plan.pad = json.value("pad", std::array<float, 3>{});
  plan.type = ElementType::kUint8;
  plan.layout = Layout::kNhwc;
  return plan;
}

struct Difference {
  double mean = 0;
  int largest = 0;
};
Difference difference(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  Difference result;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int apart = std::abs(a[i] - b[i]);
    result.mean += apart;
    result.largest = std::max(result.largest, apart);
  }
  result.mean /= static_cast<double>(a.size());
  return result;
}

TEST(Prepare, IsWhatPillowMakes) {
  const auto manifest = json_of(kFolder + "manifest.json");
  if (manifest.is_null()) GTEST_SKIP() << "no preprocess_inputs: ctest makes them (preprocess_inputs)";
  ASSERT_GE(manifest["photos"].get<int>(), 20);
  std::map<std::string, Difference> worst;
  std::map<std::string, int> photos;  // by plan
  for (const auto& entry : manifest["cases"]) {
    const std::string name = entry["expected"], kind = entry["plan"].dump() + (entry["exact"] ? "" : " down first");
    if (photos[kind]++ % IE_EACH_NTH != 0) continue;
    const Plan plan = plan_from(entry["plan"]);
    const auto pixels = samples_of(kFolder + entry["picture"].get<std::string>()),
               expected = samples_of(kFolder + name);
    const auto made = prepare(plan, {entry["width"], entry["height"], pixels});
    ASSERT_TRUE(made) << name << ": " << made.error().message;
    const std::vector<std::int64_t> shape{1, entry["input_height"], entry["input_width"], 3};
    ASSERT_EQ(made->tensor.shape, shape) << name;
    const auto found = difference(made->tensor.as<std::uint8_t>(), expected);
    const bool exact = entry["exact"];
    EXPECT_LE(found.mean, exact ? 0.05 : 1) << name;
    EXPECT_LE(found.largest, exact ? 2 : 255) << name;
    EXPECT_DOUBLE_EQ(made->placement.scale_x, entry["scale"][0]) << name;
    EXPECT_DOUBLE_EQ(made->placement.scale_y, entry["scale"][1]) << name;
    EXPECT_DOUBLE_EQ(made->placement.offset_x, entry["offset"][0]) << name;
    EXPECT_DOUBLE_EQ(made->placement.offset_y, entry["offset"][1]) << name;
    Difference& most = worst[kind];
    most = {std::max(most.mean, found.mean), std::max(most.largest, found.largest)};
  }
  for (const auto& [plan, most] : worst)
    std::cout << "  mean ≤ " << most.mean << "/255, largest " << most.largest << ": " << plan << '\n';
}

std::vector<std::uint8_t> noise(std::size_t count) {
  std::mt19937 random(8);
  std::vector<std::uint8_t> bytes(count);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

TEST(Resampler, IsTheSameWithoutVectorInstructions) {
  const std::uint32_t width = 211, height = 97;
  const auto pixels = noise(std::size_t{width} * height * 3);
  for (const Filter filter : {Filter::kNearest, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos})
    for (const std::uint32_t edge : {1U, 7U, 60U, 97U, 300U}) {
      const Resampler::Part part{edge + 3, edge, 1, 0, edge, edge};
      Resampler fast({width, height, pixels}, filter, part);
      Resampler portable({width, height, pixels}, filter, part, Speed::kPortable);
      for (std::uint32_t y = 0; y < edge; ++y) ASSERT_TRUE(std::ranges::equal(fast.next_row(), portable.next_row()));
    }
}

TEST(Resampler, FlatPicturesStayFlat) {
  const std::vector<std::uint8_t> pixels(std::size_t{3000} * 11 * 3, 255);
  for (const Filter filter : {Filter::kBilinear, Filter::kBicubic, Filter::kLanczos})
    for (const std::uint32_t edge : {1U, 2U, 500U, 4000U}) {
      Resampler resampler({3000, 11, pixels}, filter, {edge, 5, 0, 0, edge, 5});
      for (int y = 0; y < 5; ++y)
        for (const auto value : resampler.next_row()) ASSERT_EQ(value, 255) << edge;
    }
}

// Pixel (x, y), channel c of the tensor, by the definition of the layouts.
template <typename T>
T at(const Plan& plan, const Tensor& tensor, std::size_t x, std::size_t y, std::size_t c) {
  const auto values = tensor.as<T>();
  return plan.layout == Layout::kNchw ? values[(c * plan.height + y) * plan.width + x]
                                      : values[(y * plan.width + x) * 3 + c];
}

TEST(Prepare, NormalisesInEveryLayoutOrderAndType) {
  const std::uint32_t width = 53, height = 20;  // no multiple of what the fast path takes at once
  const auto pixels = noise(std::size_t{width} * height * 3);
  for (const Layout layout : {Layout::kNchw, Layout::kNhwc})
    for (const ChannelOrder order : {ChannelOrder::kRgb, ChannelOrder::kBgr})
      for (const ElementType type : {ElementType::kFloat32, ElementType::kUint8}) {
        Plan plan{
            .width = width, .height = 30, .fit = Fit::kLetterbox, .pad = {1, 2, 3}, .layout = layout, .order = order};
        plan.mean = {103.53F, 116.28F, 123.675F}, plan.deviation = {57.375F, 57.12F, 58.395F}, plan.type = type;
        const auto made = prepare(plan, {width, height, pixels});
        ASSERT_TRUE(made);
        for (std::size_t y = 0; y < plan.height; ++y)
          for (std::size_t x = 0; x < width; ++x)
            for (std::size_t c = 0; c < 3; ++c) {
              const std::size_t source = order == ChannelOrder::kRgb ? c : 2 - c;
              const bool inside = y >= 5 && y < 25;
              const float level = inside ? pixels[((y - 5) * width + x) * 3 + source] : plan.pad[c];
              if (type == ElementType::kUint8)
                ASSERT_EQ(at<std::uint8_t>(plan, made->tensor, x, y, c), level);
              else
                ASSERT_EQ(at<float>(plan, made->tensor, x, y, c), (level - plan.mean[c]) / plan.deviation[c]);
            }
      }
}

TEST(Prepare, IntoABatchIsTheSame) {
  const auto pixels = noise(std::size_t{30} * 20 * 3);
  const Plan plan{.width = 16, .height = 16, .fit = Fit::kLetterbox};
  const auto alone = prepare(plan, {30, 20, pixels});
  auto batch = Tensor::zeros(ElementType::kFloat32, {2, 3, 16, 16});
  const auto half = batch.data.size() / 2;
  const auto placement = prepare_into(plan, {30, 20, pixels}, std::span(batch.data).last(half));
  ASSERT_TRUE(placement);
  EXPECT_EQ(placement->scale_x, alone->placement.scale_x);
  EXPECT_TRUE(std::ranges::equal(std::span(batch.data).last(half), alone->tensor.data));
  EXPECT_TRUE(std::ranges::all_of(std::span(batch.data).first(half), [](std::byte b) { return b == std::byte{}; }));
  EXPECT_EQ(prepare_into(plan, {30, 20, pixels}, std::span(batch.data).first(half - 1)).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(Prepare, RefusesWhatItCannotDo) {
  const auto pixels = noise(300);
  const ImageView picture{10, 10, pixels};
  const Plan sound{.width = 8, .height = 8};
  ASSERT_TRUE(prepare(sound, picture));
  for (const ImageView& bad : {ImageView{}, ImageView{0, 10, pixels}, ImageView{10, 0, pixels},
                               ImageView{10, 11, pixels}, ImageView{0xffffffff, 0xffffffff, pixels}})
    EXPECT_EQ(prepare(sound, bad).error().code, ErrorCode::kInvalidArgument);
  const auto refused = [&](auto change) {
    Plan plan = sound;
    change(plan);
    const auto made = prepare(plan, picture);
    return !made && made.error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](Plan& p) { p.width = 0; }));
  EXPECT_TRUE(refused([](Plan& p) { p.height = kLargestEdge + 1; }));
  EXPECT_TRUE(refused([](Plan& p) { p.resize_edge = 7; }));
  EXPECT_TRUE(refused([](Plan& p) { p.longest = 5000; }));
  EXPECT_TRUE(refused([](Plan& p) { p.deviation[1] = 0; }));
  EXPECT_TRUE(refused([](Plan& p) { p.mean[2] = std::numeric_limits<float>::quiet_NaN(); }));
  EXPECT_TRUE(refused([](Plan& p) { p.pad[0] = 256; }));
  EXPECT_TRUE(refused([](Plan& p) { p.type = ElementType::kFloat16; }));
}

TEST(Prepare, NeedlesFitEveryPlan) {
  const auto pixels = noise(std::size_t{60'000} * 3);
  for (const Fit fit : {Fit::kStretch, Fit::kLetterbox, Fit::kCentreCrop, Fit::kShortEdge})
    for (const auto& [width, height] : {std::pair{1U, 60'000U}, {60'000U, 1U}, {1U, 1U}}) {
      const Plan plan{.width = 224, .height = 160, .fit = fit, .filter = Filter::kLanczos};
      const auto made = prepare(plan, {width, height, pixels});
      ASSERT_TRUE(made);
      const InputSize size = input_size(plan, width, height);
      EXPECT_EQ(made->tensor.count(), std::size_t{3} * size.width * size.height);
      EXPECT_LE(std::max(size.width, size.height), kLargestEdge);
    }
}

TEST(InputSize, IsThatOfTransformers) {
  const Plan detr{.width = 800, .height = 800, .fit = Fit::kShortEdge, .longest = 1333};
  const auto size = [&](std::uint32_t width, std::uint32_t height) {
    const InputSize made = input_size(detr, width, height);
    return std::pair{made.width, made.height};
  };
  EXPECT_EQ(size(640, 480), std::pair(1066U, 800U));  // the sizes of COCO pictures in DETR's own notebooks
  EXPECT_EQ(size(480, 640), std::pair(800U, 1066U));
  EXPECT_EQ(size(500, 500), std::pair(800U, 800U));
  EXPECT_EQ(size(2000, 1000).second, 666U);  // 1333 / 2 to even
}

TEST(WantedEdge, CoversTheInput) {
  EXPECT_EQ(wanted_edge({.width = 416, .height = 320, .fit = Fit::kLetterbox}), 416U);
  EXPECT_EQ(wanted_edge({.width = 224, .height = 224, .fit = Fit::kCentreCrop, .resize_edge = 256}), 512U);
  EXPECT_EQ(wanted_edge({.width = 800, .height = 800, .fit = Fit::kShortEdge, .longest = 1333}), 1333U);
}

TEST(Names, AreThoseOfSpecs) {
  EXPECT_EQ(fit_from_name("centre-crop"), Fit::kCentreCrop);
  EXPECT_EQ(align_from_name("top-left"), Align::kTopLeft);
  EXPECT_EQ(filter_from_name("lanczos"), Filter::kLanczos);
  EXPECT_EQ(layout_from_name("nhwc"), Layout::kNhwc);
  EXPECT_EQ(channel_order_from_name("bgr"), ChannelOrder::kBgr);
  for (const char* none : {"", "Letterbox", "centre", "bgr "}) EXPECT_FALSE(fit_from_name(none)) << none;
}

}  // namespace
}  // namespace image_engine::preprocess
