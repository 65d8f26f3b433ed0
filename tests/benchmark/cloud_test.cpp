#include "benchmark/cloud.h"

#include <gtest/gtest.h>

#include <cmath>

namespace image_engine::benchmark {
namespace {

std::vector<std::vector<float>> on_circle(const std::vector<double>& angles) {
  std::vector<std::vector<float>> vectors;
  for (const double angle : angles)
    vectors.push_back({static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
  return vectors;
}

TEST(CloudAgreement, OfASpaceWithItselfIsWhole) {
  const auto vectors = on_circle({0, 0.1, 0.25, 0.45, 0.7});
  const CloudAgreement found = agreement_of(vectors, vectors);
  EXPECT_EQ(found.pictures, 5);
  EXPECT_EQ(found.neighbours, 4);
  EXPECT_DOUBLE_EQ(found.overlap, 1);
  EXPECT_DOUBLE_EQ(found.correlation, 1);
}

// The nearest pair of one is the farthest of the other.
TEST(CloudAgreement, OfOppositesIsMinusOne) {
  const CloudAgreement found = agreement_of(on_circle({0, 0.1, 0.3}), on_circle({0, 0.3, 0.1}));
  EXPECT_EQ(found.neighbours, 2);
  EXPECT_DOUBLE_EQ(found.correlation, -1);
}

TEST(CloudAgreement, OfPicturesThatAreAllAlikeIsNone) {
  const CloudAgreement found = agreement_of(on_circle({1, 1, 1, 1}), on_circle({0, 0.1, 0.3, 0.6}));
  EXPECT_DOUBLE_EQ(found.correlation, 0);
}

// Reference: numpy, Pearson's correlation of mean ranks, and the ten nearest by argsort.
TEST(CloudAgreement, IsThatOfNumpy) {
  std::vector<double> a, b;
  for (int i = 0; i < 30; ++i) {
    a.push_back(0.02 * std::pow(i, 1.5));
    b.push_back(0.9 * std::sqrt((7 * i) % 30));
  }
  const CloudAgreement found = agreement_of(on_circle(a), on_circle(b));
  EXPECT_EQ(found.neighbours, 10);
  EXPECT_NEAR(found.overlap, 0.31333333, 1e-6);
  EXPECT_NEAR(found.correlation, -0.08226791, 1e-4);
}

TEST(EmbeddingRun, QuantilesAreOfTheSortedCalls) {
  EmbeddingRun run;
  for (int i = 1; i <= 100; ++i) run.seconds.push_back(i);
  EXPECT_DOUBLE_EQ(run.mean(), 50.5);
  EXPECT_DOUBLE_EQ(run.quantile(0.5), 50);
  EXPECT_DOUBLE_EQ(run.quantile(0.95), 95);
  run.seconds = {7};
  EXPECT_DOUBLE_EQ(run.quantile(0.5), 7);
  EXPECT_DOUBLE_EQ(run.quantile(0.95), 7);
}

}  // namespace
}  // namespace image_engine::benchmark
