#include "vision/quality.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/vision/inputs.h"

namespace image_engine::vision {
namespace {

using Measure = double Quality::*;

Quality quality_of(const std::string& file) {
  const Image image = read_picture(file);
  return assess_quality(luma_of(image), view(image));
}

// Calls `check` with the qualities of each photo that was degraded in this way, from the least degraded to the most.
template <typename Check>
int for_each_series(const char* kind, Check check) {
  int photos = 0;
  for (const auto& series : manifest()["series"]) {
    if (series["kind"] != kind) continue;
    std::vector<Quality> qualities;
    for (const auto& file : series["files"]) qualities.push_back(quality_of(file));
    check(series, qualities);
    ++photos;
  }
  return photos;
}

void expect_falls(const nlohmann::json& series, const std::vector<Quality>& qualities, Measure measure) {
  for (size_t i = 1; i < qualities.size(); ++i)
    EXPECT_LT(qualities[i].*measure, qualities[i - 1].*measure)
        << series["photo"] << ' ' << series["kind"] << " step " << i;
}

TEST(Quality, SharpnessFallsWithBlur) {
  NEED_INPUTS();
  EXPECT_GE(for_each_series("blur",
                            [](const auto& series, const auto& qualities) {
                              expect_falls(series, qualities, &Quality::sharpness);
                              // Half a pixel may take away more noise than detail, so the score is compared from 1 on.
                              const std::vector<Quality> blurred(qualities.begin() + 2, qualities.end());
                              expect_falls(series, blurred, &Quality::score);
                            }),
            10);
}

TEST(Quality, NoiseRisesWithNoiseAndTheScoreFalls) {
  NEED_INPUTS();
  EXPECT_GE(for_each_series("noise",
                            [](const auto& series, const auto& qualities) {
                              for (size_t i = 1; i < qualities.size(); ++i)
                                EXPECT_GT(qualities[i].noise, qualities[i - 1].noise) << series["photo"] << ' ' << i;
                              EXPECT_LT(qualities.back().score, qualities.front().score) << series["photo"];
                            }),
            10);
}

TEST(Quality, ExposureFallsTheDarkerAndTheBrighter) {
  NEED_INPUTS();
  for (const char* kind : {"darker", "brighter"})
    EXPECT_GE(for_each_series(kind, [](const auto& series,
                                       const auto& qualities) { expect_falls(series, qualities, &Quality::exposure); }),
              10);
}

TEST(Quality, MeasuresAreThoseOfTheirPapersByNumpy) {
  NEED_INPUTS();
  for (const auto& entry : manifest()["luma"]) {
    const Image image = read_picture(entry["file"]);
    const auto measures = measure_quality(luma_of(image), view(image));
    EXPECT_NEAR(measures.contrast, entry["contrast"].get<double>(), 1e-9) << entry["file"];
    EXPECT_NEAR(measures.colourfulness, entry["colourfulness"].get<double>(), 1e-6) << entry["file"];
  }
}

TEST(Quality, OfBlackWhiteAndGreyPictures) {
  for (const std::uint8_t level : {0, 128, 255}) {
    Image image{100, 100, std::vector<std::uint8_t>(30'000, level)};
    const auto quality = assess_quality(luma_of(image), view(image));
    EXPECT_EQ(quality.sharpness, 0);
    EXPECT_EQ(quality.contrast, 0);
    EXPECT_EQ(quality.colourfulness, 0);
    EXPECT_EQ(quality.noise, 0);
    EXPECT_EQ(quality.score, 0);
    if (level == 128)
      EXPECT_GT(quality.exposure, 0.9);
    else
      EXPECT_LT(quality.exposure, 0.01);
  }
}

TEST(Quality, OfWhateverAWorkerSendsIsWithinItsRange) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (const double value : {nan, inf, -inf, -5.0, 0.0, 1e300, 5e-324}) {
    LumaStatistics luma;
    luma.laplacian_variance_top = luma.noise_sigma = luma.laplacian_variance = value;
    luma.histogram.fill(0xffffffff);
    const std::vector<std::uint8_t> few(5, 9);
    const auto quality = assess_quality(luma, {4000, 3000, few});
    for (const Measure measure : {&Quality::sharpness, &Quality::exposure, &Quality::contrast, &Quality::colourfulness,
                                  &Quality::noise, &Quality::score}) {
      EXPECT_GE(quality.*measure, 0) << value;
      EXPECT_LE(quality.*measure, 1) << value;
    }
  }
  const auto nothing = assess_quality({}, {});
  EXPECT_EQ(nothing.score, 0);
}

TEST(Quality, JsonNamesEveryMeasure) {
  const Quality quality{0.71234, 0.93, 0.5, 0.25, 0.125, 0.78};
  const nlohmann::json json = quality;
  EXPECT_EQ(json, nlohmann::json::parse(R"({"sharpness": 0.7123, "exposure": 0.93, "contrast": 0.5,
                                            "colourfulness": 0.25, "noise": 0.125, "score": 0.78})"));
  EXPECT_EQ(json.get<Quality>(), (Quality{0.7123, 0.93, 0.5, 0.25, 0.125, 0.78}));
}

}  // namespace
}  // namespace image_engine::vision
