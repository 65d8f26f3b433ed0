#include "video/covering.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace image_engine::video {
namespace {

constexpr double kSightingStep = 0.2;  // seconds, from one sighting to the next
constexpr double kFrame = 0.04;

bool holds(const Box& outer, const Box& inner) {
  constexpr float kRounding = 1e-3F;
  return outer.x <= inner.x + kRounding && outer.y <= inner.y + kRounding &&
         outer.x + outer.width >= inner.x + inner.width - kRounding &&
         outer.y + outer.height >= inner.y + inner.height - kRounding;
}

bool is_covered(const Covering& covering, double seconds, const Box& box) {
  return std::ranges::any_of(covering.at(seconds), [&](const Box& each) { return holds(each, box); });
}

using Path = std::function<Box(double seconds)>;

Box face(double x, double y, double size = 50) {
  return {static_cast<float>(x), static_cast<float>(y), static_cast<float>(size), static_cast<float>(size)};
}

// A thing on its path from `from` to `to`, seen where `seen`.
Covering followed(const Path& path, double from, double to, const std::function<bool(double)>& seen) {
  Covering covering;
  for (int i = static_cast<int>(std::ceil(from / kSightingStep)); i * kSightingStep <= to; ++i) {
    const double at = i * kSightingStep;
    covering.add(at, seen(at) ? std::vector{path(at)} : std::vector<Box>());
  }
  return covering;
}

void expect_covered(const Covering& covering, const Path& path, double from, double to) {
  for (double at = from; at <= to; at += kFrame) EXPECT_TRUE(is_covered(covering, at, path(at))) << at;
}

const Path kStraight = [](double at) { return face(100 + 180 * at, 200 + 40 * at); };  // 3.6 of its edges a second
const Path kGrowing = [](double at) { return face(400 - 30 * at, 300 - 30 * at, 40 + 60 * at); };
const Path kWaving = [](double at) { return face(300 + 80 * std::sin(2 * at), 200 + 60 * std::cos(2 * at)); };

TEST(Covering, EveryFrameBetweenTwoSightingsIsCovered) {
  const auto always = [](double) { return true; };
  for (const Path& path : {kStraight, kGrowing}) {
    const Covering covering = followed(path, 0, 4, always);
    EXPECT_EQ(covering.tracks(), 1U);
    expect_covered(covering, path, 0, 4);
  }
}

TEST(Covering, OneThatTurnsBetweenTwoSightingsLeavesItByLittle) {
  const Covering covering = followed(kWaving, 0, 4, [](double) { return true; });
  for (double at = 0; at <= 4; at += kFrame) {
    Box inner =
        kWaving(at);  // at 160 pixels a second the bend of 0.2 s is 2 pixels deep: a tenth of privacy-blur's margin
    inner.x += 2, inner.y += 2, inner.width -= 4, inner.height -= 4;
    EXPECT_TRUE(is_covered(covering, at, inner)) << at;
  }
}

TEST(Covering, AGapIsBridged) {
  for (const double gap : {0.5, 1.0, 1.2}) {
    const auto seen = [&](double at) { return at <= 1 || at >= 1 + gap; };
    const Covering covering = followed(kStraight, 0, 4, seen);
    EXPECT_EQ(covering.tracks(), 1U) << gap;
    expect_covered(covering, kStraight, 0, 4);
  }
}

TEST(Covering, OneThatTurnsWhileItIsOutOfSightIsCoveredWhereItGoesAndComes) {
  // It moves on by up to 0.2 s before it is hidden, as it was seen last before that, and comes so.
  for (const double turn : {1.0, 1.6, 2.2}) {
    const Path path = [&](double at) { return kWaving(at + turn); };
    const Covering covering = followed(path, 0, 4, [](double at) { return at < 1.1 || at > 2.1; });
    EXPECT_EQ(covering.tracks(), 1U);
    for (double at = 0; at <= 4; at += kFrame) {
      if (at > 1.2 && at < 2) continue;
      Box inner = path(at);  // as above, a bend of 0.2 s and one on the way from the sighting before
      inner.x += 6, inner.y += 6, inner.width -= 12, inner.height -= 12;
      EXPECT_TRUE(is_covered(covering, at, inner)) << turn << " " << at;
    }
  }
}

TEST(Covering, WhatIsSeenLateOrLostEarlyIsCoveredBeforeAndAfter) {
  const Covering covering = followed(kStraight, 0, 4, [](double at) { return at >= 1 && at <= 3; });
  expect_covered(covering, kStraight, 0.5, 3.5);
  EXPECT_TRUE(covering.at(0.4).empty());
  EXPECT_TRUE(covering.at(3.6).empty());
}

TEST(Covering, OneSightingIsCoveredForASecond) {
  Covering covering;
  covering.add(2, std::vector{face(10, 10)});
  covering.add(2.2, {});
  for (const double at : {1.51, 2.0, 2.49}) EXPECT_TRUE(is_covered(covering, at, face(10, 10))) << at;
  EXPECT_TRUE(covering.at(1.4).empty());
  EXPECT_TRUE(covering.at(2.6).empty());
}

TEST(Covering, TwoThatCrossAreBothCovered) {
  const Path back = [](double at) { return face(820 - 180 * at, 210 + 40 * at); };
  Covering covering;
  for (int i = 0; i <= 20; ++i)
    covering.add(i * kSightingStep, std::vector{kStraight(i * kSightingStep), back(i * kSightingStep)});
  expect_covered(covering, kStraight, 0, 4);
  expect_covered(covering, back, 0, 4);
}

TEST(Covering, WhatIsFarAwayIsAnotherThing) {
  Covering covering;
  covering.add(0, std::vector{face(0, 0)});
  covering.add(0.2, std::vector{face(900, 500)});
  EXPECT_EQ(covering.tracks(), 2U);
  for (const Box& box : covering.at(0.1)) EXPECT_LT(box.width, 60);
}

TEST(Covering, WithoutSightingsNothingIsCovered) {
  Covering covering;
  EXPECT_TRUE(covering.at(0).empty());
  covering.add(0, {});
  EXPECT_TRUE(covering.at(0).empty());
}

}  // namespace
}  // namespace image_engine::video
