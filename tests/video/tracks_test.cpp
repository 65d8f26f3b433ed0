#include "video/tracks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "video/assignment.h"
#include "video/motion.h"

namespace image_engine::video {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;
using Ids = std::vector<std::int64_t>;

constexpr double kStep = 0.2;  // seconds: five frames a second
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Sighting person(double x, double y, float confidence = 0.9F, std::vector<float> vector = {}) {
  return {"person", confidence, {static_cast<float>(x), static_cast<float>(y), 60, 120}, std::move(vector)};
}

// ---- one thing

TEST(Tracks, OneThingIsOneTrackWithItsBestFrame) {
  Tracker tracker;
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(tracker.add(10 + i * kStep, std::vector{person(100 + 12 * i, 200, i == 7 ? 0.97F : 0.8F)}), Ids{1});
  const std::vector<Track> tracks = tracker.finish();
  ASSERT_THAT(tracks, SizeIs(1));
  EXPECT_EQ(tracks[0].id, 1);
  EXPECT_EQ(tracks[0].name, "person");
  EXPECT_DOUBLE_EQ(tracks[0].from, 10);
  EXPECT_DOUBLE_EQ(tracks[0].to, 10 + 19 * kStep);
  EXPECT_DOUBLE_EQ(tracks[0].best_at, 10 + 7 * kStep);
  EXPECT_EQ(tracks[0].best_box, person(100 + 12 * 7, 200).box);
  EXPECT_FLOAT_EQ(tracks[0].best_confidence, 0.97F);
  EXPECT_EQ(tracks[0].sightings, 20U);
  EXPECT_THAT(tracks[0].stretches, ElementsAre(Stretch{tracks[0].from, tracks[0].to}));
}

// Frames that show nothing new are left out: an hour between two of them is no absence.
TEST(Tracks, AStillThingDoesNotSplit) {
  Tracker tracker;
  std::mt19937 random(1);
  std::normal_distribution<double> noise(0, 3);
  double at = 0;
  for (const double gap : {0.2, 0.2, 1.0, 1.0, 60.0, 0.2, 3600.0, 1.0, 1.0})
    EXPECT_EQ(tracker.add(at += gap, std::vector{person(300 + noise(random), 200 + noise(random))}), Ids{1});
}

TEST(Tracks, AbsenceBeginsWithTheFirstFrameWithoutIt) {
  Tracker tracker({.keep = 2});
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200)}), Ids{1});
  tracker.add(60, {});
  EXPECT_EQ(tracker.add(61, std::vector{person(100, 200)}), Ids{1});
}

// At one frame a second its boxes lie apart: the second by twice its width.
TEST(Tracks, AThingThatMovesIsFollowedAtOneFrameASecond) {
  Tracker tracker({.track_fps = 1});
  for (int i = 0; i < 8; ++i) EXPECT_EQ(tracker.add(i, std::vector{person(100 + 120 * i, 200)}), Ids{1}) << i;
}

TEST(Tracks, FramesMayComeAtAnyTimes) {
  Tracker tracker;
  for (const double at : {0.0, 0.04, 0.24, 1.24, 1.28, 2.28, 2.48, 2.68, 3.68})
    EXPECT_EQ(tracker.add(at, std::vector{person(100 + 150 * at, 200)}), Ids{1}) << at;
}

TEST(Tracks, WhatComesBackToItsPlaceIsTheSame) {
  const auto ids_after = [](double away) {
    Tracker tracker({.keep = 2});
    for (int i = 0; i < 5; ++i) tracker.add(i * kStep, std::vector{person(100 + 10 * i, 200)});
    double at = 4 * kStep;
    for (const double back = at + away; (at += kStep) < back;) tracker.add(at, {});
    tracker.add(at, std::vector{person(150, 200)});
    tracker.add(at + kStep, std::vector{person(160, 200)});
    return tracker.finish().size();
  };
  EXPECT_EQ(ids_after(1.0), 1U);
  EXPECT_EQ(ids_after(1.9), 1U);
  EXPECT_EQ(ids_after(3.0), 2U);
}

// ---- several

TEST(Tracks, TwoThatCrossKeepTheirIds) {
  Tracker tracker;
  for (int i = 0; i <= 20; ++i) {
    std::vector<Sighting> sightings{person(100 + 20 * i, 200), person(500 - 20 * i, 215)};
    const bool swapped = i % 2 == 1;  // the detector's order says nothing
    if (swapped) std::swap(sightings[0], sightings[1]);
    EXPECT_EQ(tracker.add(i * kStep, sightings), (swapped ? Ids{2, 1} : Ids{1, 2})) << i;
  }
}

// The nearer one hides the other where they meet.
TEST(Tracks, WhatIsHiddenWhereTwoCrossComesBackAsItself) {
  Tracker tracker;
  for (int i = 0; i <= 24; ++i) {
    std::vector<Sighting> sightings{person(100 + 20 * i, 200)};
    if (i < 10 || i > 14) sightings.push_back(person(580 - 20 * i, 200));
    EXPECT_EQ(tracker.add(i * kStep, sightings), (sightings.size() == 2 ? Ids{1, 2} : Ids{1})) << i;
  }
}

TEST(Tracks, DifferentNamesAreDifferentThings) {
  Tracker tracker;
  Sighting dog = person(100, 200);
  dog.name = "dog";
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200)}), Ids{1});
  EXPECT_EQ(tracker.add(0.2, std::vector{dog}), Ids{2});
  EXPECT_EQ(tracker.add(0.4, std::vector{dog, person(100, 200)}), (Ids{2, 1}));
}

// By pairs, one after the other as they fit best, the first would take the place that is left for the second.
TEST(Tracks, AllPairsTogetherFitBest) {
  Tracker tracker;
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200), person(130, 200)}), (Ids{1, 2}));
  // 115 fits both; 85 the first only.
  EXPECT_EQ(tracker.add(0.2, std::vector{person(114, 200), person(85, 200)}), (Ids{2, 1}));
}

// ---- confidence

TEST(Tracks, LowConfidenceContinuesATrackAndBeginsNone) {
  Tracker tracker;
  EXPECT_EQ(tracker.add(0.0, std::vector{person(100, 200, 0.3F)}), Ids{0});
  EXPECT_EQ(tracker.add(0.2, std::vector{person(100, 200, 0.8F)}), Ids{1});
  EXPECT_EQ(tracker.add(0.4, std::vector{person(102, 200, 0.3F), person(400, 200, 0.3F)}), (Ids{1, 0}));
  EXPECT_EQ(tracker.add(0.6, std::vector{person(104, 200, 0.05F)}), Ids{0});
  // Not in the frame before: what is hardly there is no proof that it is back.
  EXPECT_EQ(tracker.add(0.8, std::vector{person(104, 200, 0.3F)}), Ids{0});
  const std::vector<Track> tracks = tracker.finish();
  ASSERT_THAT(tracks, SizeIs(1));
  EXPECT_EQ(tracks[0].sightings, 2U);
  EXPECT_DOUBLE_EQ(tracks[0].to, 0.4);
}

TEST(Tracks, HighConfidenceIsMatchedBeforeLow) {
  Tracker tracker;
  tracker.add(0, std::vector{person(100, 200)});
  EXPECT_EQ(tracker.add(0.2, std::vector{person(100, 200, 0.3F), person(110, 200, 0.9F)}), (Ids{0, 1}));
}

TEST(Tracks, OneSightingMakesATrackOnlyWhereItIsSure) {
  Tracker tracker;
  tracker.add(0, std::vector{person(100, 200, 0.55F), person(500, 200, 0.65F)});
  tracker.add(0.2, {});
  const std::vector<Track> tracks = tracker.finish();
  ASSERT_THAT(tracks, SizeIs(1));
  EXPECT_EQ(tracks[0].id, 2);
}

// ---- cuts and vectors

TEST(Tracks, ACutEndsATrack) {
  Tracker tracker;
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200)}), Ids{1});
  EXPECT_EQ(tracker.add(0.2, std::vector{person(100, 200)}, true), Ids{2});
  EXPECT_EQ(tracker.add(0.4, std::vector{person(100, 200)}), Ids{2});
  EXPECT_THAT(tracker.finish(), SizeIs(2));
}

TEST(Tracks, ACutOfAnIgnoredFrameCounts) {
  Tracker tracker;
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200)}), Ids{1});
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200)}, true), Ids{0});
  EXPECT_EQ(tracker.add(0.2, std::vector{person(100, 200)}), Ids{2});
}

const std::vector<float> kAnna{1, 0, 0}, kBea{0, 1, 0}, kAnnaAgain{0.96F, 0.28F, 0};

TEST(Tracks, AVectorContinuesATrackAfterACut) {
  Tracker tracker;
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200, 0.9F, kAnna)}), Ids{1});
  EXPECT_EQ(tracker.add(1, std::vector{person(100, 200, 0.9F, kBea)}, true), Ids{2});
  EXPECT_EQ(tracker.add(2, std::vector{person(600, 300, 0.9F, kAnnaAgain)}, true), Ids{1});
  EXPECT_EQ(tracker.add(3, std::vector{person(600, 300, 0.9F, kAnna)}), Ids{1});
  const std::vector<Track> tracks = tracker.finish();
  ASSERT_THAT(tracks, SizeIs(2));
  EXPECT_THAT(tracks[0].stretches, ElementsAre(Stretch{0, 0}, Stretch{2, 3}));
  EXPECT_DOUBLE_EQ(tracks[0].to, 3);
  // Never two at one time, though the one track spans the other.
  EXPECT_THAT(most_at_once(tracks), ElementsAre(Pair("person", 1)));
}

// A model that finds everybody alike: what one frame shows tells how alike strangers are.
TEST(Tracks, WhoIsAsAlikeAsStrangersAreIsAStranger) {
  const auto one_of_all = [](int number, double x) {  // a cosine of 0.85 between any two
    std::vector<float> vector(6);
    vector[0] = std::sqrt(0.85F), vector[static_cast<std::size_t>(number)] = std::sqrt(0.15F);
    return person(x, 200, 0.9F, vector);
  };
  Tracker knows_none;
  knows_none.add(0, std::vector{one_of_all(1, 100)});
  EXPECT_EQ(knows_none.add(1, std::vector{one_of_all(4, 300)}, true), Ids{1});
  Tracker tracker;
  tracker.add(0, std::vector{one_of_all(1, 100), one_of_all(2, 500), one_of_all(3, 900)});
  EXPECT_EQ(tracker.add(1, std::vector{one_of_all(4, 300)}, true), Ids{4});
  EXPECT_EQ(tracker.add(2, std::vector{one_of_all(2, 100)}, true), Ids{2});
}

TEST(Tracks, AVectorIsForgotten) {
  Tracker tracker({.keep_vectors = 5});
  tracker.add(0, std::vector{person(100, 200, 0.9F, kAnna)});
  tracker.add(1, {}, true);
  tracker.add(6, {});
  EXPECT_EQ(tracker.add(7, std::vector{person(100, 200, 0.9F, kAnna)}), Ids{2});
}

TEST(Tracks, VectorsTellWhoIsWhoWherePlacesDoNot) {
  Tracker tracker;
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200, 0.9F, kAnna), person(130, 200, 0.9F, kBea)}), (Ids{1, 2}));
  EXPECT_EQ(tracker.add(0.2, std::vector{person(117, 200, 0.9F, kAnna), person(113, 200, 0.9F, kBea)}), (Ids{1, 2}));
}

TEST(Tracks, VectorsFindWhatMovedFar) {
  Tracker tracker({.track_fps = 1});
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200, 0.9F, kAnna), person(900, 200, 0.9F, kBea)}), (Ids{1, 2}));
  EXPECT_EQ(tracker.add(1, std::vector{person(1500, 200, 0.9F, kAnna), person(-600, 200, 0.9F, kBea)}), (Ids{1, 2}));
}

// ---- what no detector should say

TEST(Tracks, TimesThatDoNotGoForwardAreIgnored) {
  Tracker tracker;
  const std::vector seen{person(100, 200)};
  EXPECT_EQ(tracker.add(1, seen), Ids{1});
  for (const double at : {1.0, 0.5, -1.0, double{kNan}, std::numeric_limits<double>::infinity()})
    EXPECT_EQ(tracker.add(at, seen), Ids{0}) << at;
  EXPECT_EQ(tracker.add(1.2, seen), Ids{1});
  const std::vector<Track> tracks = tracker.finish();
  ASSERT_THAT(tracks, SizeIs(1));
  EXPECT_EQ(tracks[0].sightings, 2U);
}

TEST(Tracks, WhatIsNoBoxIsDropped) {
  Tracker tracker;
  std::vector<Sighting> sightings(7, person(100, 200));
  sightings[0].box.x = kNan;
  sightings[1].box.height = kNan;
  sightings[2].box.width = std::numeric_limits<float>::infinity();
  sightings[3].box.width = -5;
  sightings[4].box.height = 0;
  sightings[5].confidence = kNan;
  EXPECT_EQ(tracker.add(0, sightings), (Ids{0, 0, 0, 0, 0, 0, 1}));
  std::vector<Sighting> huge{person(100, 200)};
  huge[0].box = {-3e38F, -3e38F, 3e38F, 3e38F};
  EXPECT_EQ(tracker.add(0.2, huge), Ids{0});
  EXPECT_EQ(tracker.add(0.4, sightings), (Ids{0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(tracker.add(0.6, std::vector{sightings[5]}), Ids{0}) << "nor does it continue a track";
}

TEST(Tracks, AVectorThatIsNoneCountsAsNone) {
  Tracker tracker;
  const std::vector<std::vector<float>> vectors{{kNan, 1, 0}, {0, 0, 0}, {1}, {}};
  tracker.add(0, std::vector{person(100, 200, 0.9F, kAnna)});
  double at = 0;
  for (const auto& vector : vectors)
    EXPECT_EQ(tracker.add(at += kStep, std::vector{person(100, 200, 0.9F, vector)}), Ids{1});
}

TEST(Tracks, AThousandBoxesAFrame) {
  Tracker tracker;
  std::mt19937 random(3);
  std::vector<std::int64_t> order(1000);
  std::iota(order.begin(), order.end(), 0);
  for (int frame = 0; frame < 3; ++frame) {
    std::vector<Sighting> sightings;
    for (const auto i : order) sightings.push_back(person(40 * (i % 50) + 5 * frame, 60 * (i / 50)));
    const Ids ids = tracker.add(frame * kStep, sightings);
    for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ids[i], order[i] + 1);
    std::ranges::shuffle(order, random);
  }
}

// All look different and none comes back: of those that were, a thousand are kept.
TEST(Tracks, NoEndOfThingsThatAreGone) {
  Tracker tracker({.keep_vectors = 1e9});
  const auto one_of_many = [](std::size_t number) {
    std::mt19937 random(static_cast<unsigned>(number));
    std::vector<float> vector(32);
    for (float& value : vector) value = random() % 2 == 0 ? 0.1767767F : -0.1767767F;
    return person(100, 200, 0.9F, vector);
  };
  for (std::size_t i = 0; i < 1500; ++i) tracker.add(static_cast<double>(i), std::vector{one_of_many(i)}, true);
  EXPECT_EQ(tracker.add(2000, std::vector{one_of_many(600), one_of_many(400)}, true), (Ids{601, 1501}));
  EXPECT_THAT(tracker.finish(), SizeIs(1501));
}

TEST(Tracks, AFinishedTrackerIsAsNew) {
  Tracker tracker;
  tracker.add(5, std::vector{person(100, 200)});
  EXPECT_THAT(tracker.finish(), SizeIs(1));
  EXPECT_THAT(tracker.finish(), SizeIs(0));
  EXPECT_EQ(tracker.add(0, std::vector{person(100, 200)}), Ids{1});
}

// ---- counting

Track track_of(std::int64_t id, std::string name, double from, double to) { return {id, std::move(name), from, to}; }

TEST(Tracks, MostAtOnceCountsThoseThatAreThereTogether) {
  const std::vector<Track> tracks{track_of(1, "person", 0, 10), track_of(2, "person", 10, 20),
                                  track_of(3, "person", 15, 15), track_of(4, "person", 30, 40),
                                  track_of(5, "dog", 0, 40)};
  EXPECT_THAT(most_at_once(tracks), ElementsAre(Pair("dog", 1), Pair("person", 2)));
  EXPECT_TRUE(most_at_once({}).empty());
}

TEST(Tracks, FinishIsInOrderOfTime) {
  Tracker tracker;
  tracker.add(0, std::vector{person(100, 200), person(800, 200)});
  for (int i = 1; i < 30; ++i) tracker.add(i * kStep, std::vector{person(100, 200), person(400, 200)});
  std::vector<std::pair<double, std::int64_t>> order;
  for (const Track& track : tracker.finish()) order.emplace_back(track.from, track.id);
  EXPECT_THAT(order, ElementsAre(Pair(0, 1), Pair(0, 2), Pair(kStep, 3)));
}

// ---- the parts

// Of all ways to pair rows with columns.
double best_sum(const std::vector<std::vector<double>>& gains, std::size_t row, std::set<std::size_t>& used) {
  if (row == gains.size()) return 0;
  double best = best_sum(gains, row + 1, used);
  for (std::size_t column = 0; column < gains[row].size(); ++column) {
    if (gains[row][column] <= 0 || !used.insert(column).second) continue;
    best = std::max(best, gains[row][column] + best_sum(gains, row + 1, used));
    used.erase(column);
  }
  return best;
}

TEST(BestPairs, AreTheBestOfAllWays) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> gain(-0.5, 1);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::vector<double>> gains(random() % 6, std::vector<double>(1 + random() % 6));
    std::vector<Candidate> candidates;
    for (std::uint32_t row = 0; row < gains.size(); ++row)
      for (std::uint32_t column = 0; column < gains[row].size(); ++column)
        if (random() % 2 == 0) candidates.push_back({row, column, gains[row][column] = gain(random)});
    std::set<std::uint32_t> rows, columns;
    double sum = 0;
    for (const auto& [row, column] : best_pairs(candidates)) {
      EXPECT_TRUE(rows.insert(row).second && columns.insert(column).second);
      EXPECT_GT(gains[row][column], 0);
      sum += gains[row][column];
    }
    std::set<std::size_t> used;
    EXPECT_NEAR(sum, best_sum(gains, 0, used), 1e-9);
  }
}

TEST(Motion, TwoStepsAreOneOfTheirSum) {
  Motion once({100, 100, 60, 120}), twice = once;
  for (Motion* motion : {&once, &twice}) motion->wait(0.5), motion->seen({120, 100, 60, 120});
  once.wait(1);
  twice.wait(0.3), twice.wait(0.7);
  EXPECT_NEAR(once.box().x, twice.box().x, 1e-3);
  EXPECT_NEAR(once.doubt_x(), twice.doubt_x(), 1e-9);
}

TEST(Motion, GoesOnAsItWentAndThenWaits) {
  Motion motion({0, 0, 60, 120});
  for (int i = 1; i <= 20; ++i) motion.wait(kStep), motion.seen({20.0F * static_cast<float>(i), 0, 60, 120});
  motion.wait(1);
  EXPECT_NEAR(motion.box().x, 500, 10);
  motion.wait(Motion::kCoast - 1);
  const float waiting = motion.box().x;
  motion.wait(1000);
  EXPECT_EQ(motion.box().x, waiting);
}

}  // namespace
}  // namespace image_engine::video
