// From what holds at single moments to the times that a search reports.
#include "store/moment_matches.h"

#include <gmock/gmock.h>

#include <cstddef>
#include <random>
#include <vector>

#include "store/overlaps.h"

namespace image_engine::store {
namespace {

using testing::ElementsAre;
using testing::Optional;
using testing::SizeIs;

constexpr std::size_t kAll = 1'000'000;

MomentMatch match(MomentKind kind, double from, double to, std::uint64_t conditions, double confidence = 1) {
  return {.kind = kind, .from = from, .to = to, .conditions = conditions, .confidence = confidence};
}

std::vector<double> beginnings(const std::vector<MatchedTime>& times) {
  std::vector<double> beginnings;
  for (const MatchedTime& time : times) beginnings.push_back(time.moment.from);
  return beginnings;
}

TEST(Overlaps, AreThoseOfEachComparedWithEach) {
  std::mt19937 random{7};
  const auto number = [&](int below) { return static_cast<double>(random() % static_cast<unsigned>(below)); };
  for (const int most : {0, 1, 2, 5, 60}) {
    std::vector<TimeRange> ranges;
    for (int i = 0; i < most; ++i) {
      const double from = number(40);
      ranges.push_back({from, from + number(i % 7 == 0 ? 40 : 4)});  // some are empty, some are long
    }
    const Overlaps overlaps(ranges);
    for (int i = 0; i < 200; ++i) {
      const double from = number(45);
      const TimeRange asked{from, from + number(6)};
      std::vector<std::size_t> wanted;
      for (std::size_t k = 0; k < ranges.size(); ++k)
        if (ranges[k].from < asked.to && asked.from < ranges[k].to) wanted.push_back(k);
      EXPECT_EQ(overlaps.with(asked), wanted);
      EXPECT_EQ(overlaps.any(asked), !wanted.empty());
    }
  }
}

// Comparing each with each would take minutes.
TEST(MatchedTimes, OfAVeryLongRecordingAreJoined) {
  constexpr std::size_t kMoments = 200'000;
  std::vector<MomentMatch> matches;
  matches.push_back(match(MomentKind::kSound, 0, 2.0 * kMoments, 4));
  for (std::size_t i = 0; i < kMoments; ++i) {
    const double from = 2.0 * static_cast<double>(i);
    matches.push_back(match(MomentKind::kSpeech, from, from + 1, 1));
    matches.push_back(match(MomentKind::kFrame, from, from + 2, 2));
    matches.back().why = {{"object", std::to_string(i)}};
  }
  const auto times = matched_times(std::move(matches), kAll);
  ASSERT_THAT(times, SizeIs(kMoments));
  EXPECT_EQ(times[777].moment.from, 1554);
  EXPECT_THAT(times[777].moment.why, ElementsAre(Why{"object", "777"}));
}

TEST(MatchedTimes, AFrameAtWhichItIsSaidIsNoTimeOfItsOwn) {
  const auto times = matched_times({match(MomentKind::kSpeech, 10, 12, 1), match(MomentKind::kFrame, 11, 15, 1),
                                    match(MomentKind::kFrame, 20, 25, 1)},
                                   kAll);
  EXPECT_THAT(beginnings(times), ElementsAre(10, 20));
}

TEST(MatchedTimes, TheSurestOfSpeechAreChosenAndShownByTime) {
  std::vector<MomentMatch> matches;
  for (int i = 0; i < 10; ++i) {
    const double relevance = i == 2 || i == 7 || i == 9 ? 0.9 : 0.6;
    matches.push_back(match(MomentKind::kSpeech, i, i + 1, 1, relevance));
    matches.back().relevance = relevance;
  }
  const auto times = matched_times(matches, 3);
  EXPECT_THAT(beginnings(times), ElementsAre(2, 7, 9));
  EXPECT_THAT(times[0].moment.score, Optional(0.9));
  EXPECT_THAT(beginnings(matched_times(matches, 4)), ElementsAre(0, 2, 7, 9)) << "the earliest of equals";
  EXPECT_THAT(matched_times(matches, kAll), SizeIs(10));
  EXPECT_THAT(matched_times(matches, 0), SizeIs(0));
}

TEST(MatchedTimes, ARunOfFramesHasTheScoreOfItsSurest) {
  std::vector<MomentMatch> matches = {match(MomentKind::kFrame, 0, 1, 1, 0.6), match(MomentKind::kFrame, 1, 2, 1, 0.8),
                                      match(MomentKind::kFrame, 5, 6, 1, 0.9)};
  matches[0].relevance = 0.6;
  matches[1].relevance = 0.8;
  const auto times = matched_times(matches, kAll);
  EXPECT_THAT(beginnings(times), ElementsAre(5, 0));
  EXPECT_FALSE(times[0].moment.score.has_value()) << "found by what is seen in it";
  EXPECT_THAT(times[1].moment.score, Optional(0.8));
  EXPECT_EQ(times[1].moment.at, 1);
}

}  // namespace
}  // namespace image_engine::store
