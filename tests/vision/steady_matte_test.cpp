#include "vision/steady_matte.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace image_engine::vision {
namespace {

constexpr std::uint32_t kMatteSide = 32;

Image grey(int level, int from = 0, int to = 0, int other = 0) {
  Image image{kMatteSide * 4, kMatteSide * 4,
              std::vector<std::uint8_t>(std::size_t{kMatteSide} * 4 * kMatteSide * 4 * 3)};
  for (std::uint32_t y = 0; y < image.height; ++y)
    for (std::uint32_t x = 0; x < image.width; ++x)
      for (int c = 0; c < 3; ++c)
        image.pixels[(std::size_t{y} * image.width + x) * 3 + static_cast<std::size_t>(c)] =
            static_cast<std::uint8_t>(static_cast<int>(x) >= from && static_cast<int>(x) < to ? other : level);
  return image;
}

ImageView view(const Image& image) { return {image.width, image.height, image.pixels}; }
Matte matte_of(float value) {
  return {kMatteSide, kMatteSide, std::vector<float>(std::size_t{kMatteSide} * kMatteSide, value)};
}

TEST(SteadyMatte, TremblesLessWhereThePictureRests) {
  std::mt19937 random(3);
  std::normal_distribution<float> trembling(0.5F, 0.2F);
  SteadyMatte steady;
  const Image picture = grey(90);
  double before = 0, after = 0;
  float last_given = 0.5F, last_made = 0.5F;
  for (int i = 0; i < 200; ++i) {
    Matte matte = matte_of(std::clamp(trembling(random), 0.0F, 1.0F));
    const float given = matte.alpha[0];
    steady.steady(view(picture), matte);
    if (i > 20) before += std::abs(given - last_given), after += std::abs(matte.alpha[0] - last_made);
    last_given = given, last_made = matte.alpha[0];
  }
  EXPECT_LT(after, before / 2.5);  // a mean of 0.3 of each: a third
}

TEST(SteadyMatte, FollowsAtOnceWhereThePictureChanges) {
  SteadyMatte steady;
  Matte matte = matte_of(0);
  const Image first = grey(90), second = grey(90, 0, 64, 200);
  steady.steady(view(first), matte);
  matte = matte_of(1);
  steady.steady(view(second), matte);
  EXPECT_FLOAT_EQ(matte.alpha[0], 1);                   // the left half has changed
  EXPECT_NEAR(matte.alpha[kMatteSide - 1], 0.3, 1e-6);  // the right one has not
}

TEST(SteadyMatte, ArrivesAtWhatTheModelSaysOfAStillPicture) {
  SteadyMatte steady;
  Matte matte = matte_of(0);
  const Image picture = grey(90);
  steady.steady(view(picture), matte);
  for (int i = 0; i < 15; ++i) {
    matte = matte_of(1);
    steady.steady(view(picture), matte);
  }
  EXPECT_GT(matte.alpha[0], 0.99F);
}

TEST(SteadyMatte, WhatIsNotFoundAnyMoreFades) {
  SteadyMatte steady;
  const Image picture = grey(90);
  EXPECT_TRUE(steady.fade(view(picture)).alpha.empty());
  Matte matte = matte_of(1);
  steady.steady(view(picture), matte);
  EXPECT_NEAR(steady.fade(view(picture)).alpha[0], 0.7, 1e-6);
  EXPECT_NEAR(steady.fade(view(picture)).alpha[0], 0.49, 1e-6);
}

TEST(SteadyMatte, AnotherSizeBeginsAnew) {
  SteadyMatte steady;
  Matte matte = matte_of(0);
  steady.steady(view(grey(90)), matte);
  Matte other{8, 8, std::vector<float>(64, 1)};
  steady.steady(view(grey(90)), other);
  EXPECT_FLOAT_EQ(other.alpha[0], 1);
}

}  // namespace
}  // namespace image_engine::vision
