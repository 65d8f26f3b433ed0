#include "types/luma.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "tests/vision/inputs.h"
#include "worker/archive.h"

namespace image_engine {
namespace {

using vision::luma_of;
using vision::manifest;
using vision::read_picture;

LumaStatistics of_rows(std::uint32_t width, std::uint32_t height, const std::vector<std::uint8_t>& samples) {
  LumaAccumulator luma;
  luma.begin(width, height);
  for (size_t y = 0; y < height; ++y) luma.add_row(std::span(samples).subspan(y * width, width));
  return luma.finish();
}

std::vector<std::uint8_t> random_samples(size_t count) {
  std::mt19937 random(5);
  std::vector<std::uint8_t> samples(count);
  for (auto& sample : samples) sample = static_cast<std::uint8_t>(random());
  return samples;
}

TEST(Luma, IsWhatNumpyAndScipyCompute) {
  NEED_INPUTS();
  for (const auto& entry : manifest()["luma"]) {
    const auto found = luma_of(read_picture(entry["file"]));
    const std::string name = entry["file"];
    const auto near = [&](const char* field, double value) {
      const double wanted = entry[field];
      EXPECT_NEAR(value, wanted, 1e-9 * (1 + wanted)) << name << ' ' << field;
    };
    near("laplacian_variance", found.laplacian_variance);
    near("laplacian_variance_top", found.laplacian_variance_top);
    near("noise_sigma", found.noise_sigma);
    for (size_t level = 0; level < 256; ++level)
      ASSERT_EQ(found.histogram[level], entry["histogram"][level].get<std::uint32_t>()) << name << " level " << level;
  }
}

TEST(Luma, NoiseOfKnownSigmaIsFound) {
  std::mt19937 random(9);
  for (const double sigma : {1.0, 3.0, 8.0, 20.0}) {
    std::normal_distribution<double> noise(128, sigma);
    std::vector<std::uint8_t> samples(size_t{500} * 400);
    for (auto& sample : samples) sample = static_cast<std::uint8_t>(std::clamp(noise(random) + 0.5, 0.0, 255.0));
    const auto found = of_rows(500, 400, samples);
    EXPECT_NEAR(found.noise_sigma, sigma, 0.06 * sigma);
    EXPECT_NEAR(found.laplacian_variance, 20 * sigma * sigma, 0.2 * 20 * sigma * sigma);
  }
}

TEST(Luma, ASharpSubjectBeforeABlurredBackgroundIsSharp) {
  auto samples = std::vector<std::uint8_t>(size_t{1000} * 1000, 128);
  for (size_t y = 300; y < 600; ++y)
    for (size_t x = 300; x < 600; ++x) samples[y * 1000 + x] = (x / 8 + y / 8) % 2 == 0 ? 40 : 220;
  const auto found = of_rows(1000, 1000, samples);
  EXPECT_GT(found.laplacian_variance_top, 5 * found.laplacian_variance);
}

TEST(Luma, OfTheGreatestContrastDoesNotOverflow) {
  // A checkerboard of black and white: every term at its greatest.
  const std::uint32_t width = 191, height = 70;
  std::vector<std::uint8_t> checks(size_t{width} * height);
  for (size_t i = 0; i < checks.size(); ++i) checks[i] = (i % width + i / width) % 2 == 0 ? 0 : 255;
  const auto found = of_rows(width, height, checks);
  EXPECT_NEAR(found.laplacian_variance, 1020.0 * 1020, 1);
  EXPECT_NEAR(found.noise_sigma, std::sqrt(std::numbers::pi / 2) / 6 * 2040, 1e-9);
}

TEST(Luma, OfFlatGreyIsZero) {
  const auto found = of_rows(200, 200, std::vector<std::uint8_t>(40'000, 77));
  EXPECT_EQ(found.histogram[77], 40'000U);
  EXPECT_EQ(found.laplacian_variance, 0);
  EXPECT_EQ(found.laplacian_variance_top, 0);
  EXPECT_EQ(found.noise_sigma, 0);
}

// Runs of one level, of every length and from every place in a group of eight, between others.
TEST(Luma, EveryPixelIsCounted) {
  std::vector<std::uint8_t> samples;
  std::array<std::uint32_t, 256> expected{};
  for (unsigned length = 1; length < 40; ++length)
    for (unsigned i = 0; i < 9 + length; ++i) samples.push_back(static_cast<std::uint8_t>(i < 9 ? i * 31 : length * 5));
  for (const std::uint8_t sample : samples) ++expected[sample];
  EXPECT_EQ(of_rows(static_cast<std::uint32_t>(samples.size()), 1, samples).histogram, expected);
}

TEST(Luma, TinyPicturesHaveAHistogramOnly) {
  for (const auto& [width, height] : {std::pair{1U, 1U}, {2U, 100U}, {100U, 2U}, {7U, 1U}}) {
    const auto found = of_rows(width, height, random_samples(size_t{width} * height));
    EXPECT_EQ(found.laplacian_variance, 0);
    std::uint64_t counted = 0;
    for (const auto count : found.histogram) counted += count;
    EXPECT_EQ(counted, std::uint64_t{width} * height);
  }
  EXPECT_EQ(LumaAccumulator().finish(), LumaStatistics{});
}

TEST(Luma, MissingRowsLeaveTheStatisticsOfThoseThatCame) {
  const auto samples = random_samples(size_t{130} * 100);
  LumaAccumulator luma;
  luma.begin(130, 4000);
  for (size_t y = 0; y < 100; ++y) luma.add_row(std::span(samples).subspan(y * 130, 130));
  const auto cut = luma.finish();
  const auto whole = of_rows(130, 100, samples);
  EXPECT_EQ(cut.height, 100U);
  EXPECT_DOUBLE_EQ(cut.laplacian_variance, whole.laplacian_variance);
  EXPECT_EQ(cut.histogram, whole.histogram);
}

TEST(Luma, WrongRowsAreIgnored) {
  const auto samples = random_samples(300);
  LumaAccumulator luma;
  luma.add_row(samples);
  luma.begin(100, 3);
  for (size_t y = 0; y < 3; ++y) {
    luma.add_row(std::span(samples).first(99));
    luma.add_row(std::span(samples).subspan(y * 100, 100));
  }
  luma.add_row(std::span(samples).first(100));
  EXPECT_EQ(luma.finish(), of_rows(100, 3, samples));
}

TEST(Luma, BeginStartsAgain) {
  const auto samples = random_samples(size_t{200} * 150);
  LumaAccumulator luma;
  for (int round = 0; round < 2; ++round) {
    luma.begin(200, 150);
    for (size_t y = 0; y < 150; ++y) luma.add_row(std::span(samples).subspan(y * 200, 200));
    EXPECT_EQ(luma.finish(), of_rows(200, 150, samples));
  }
}

TEST(Luma, TravelsThroughTheWorkerProtocol) {
  const auto sent = of_rows(200, 150, random_samples(size_t{200} * 150));
  worker::ArchiveWriter writer;
  writer(sent);
  worker::ArchiveReader reader(writer.bytes());
  LumaStatistics received;
  reader(received);
  EXPECT_TRUE(reader.complete());
  EXPECT_EQ(received, sent);
}

}  // namespace
}  // namespace image_engine
