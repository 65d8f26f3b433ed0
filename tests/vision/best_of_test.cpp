#include "vision/best_of.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace image_engine::vision {
namespace {

using testing::ElementsAre;

constexpr std::uint64_t kMegapixel = 1'000'000;

Candidate photo(std::uint64_t megapixels, double sharpness) {
  Candidate candidate;
  candidate.pixels = megapixels * kMegapixel;
  candidate.quality = Quality{.sharpness = sharpness, .exposure = 0.8, .noise = 0.1};
  candidate.bytes = 3 * kMegapixel;
  return candidate;
}

TEST(BestOf, TheSharperOfTwoShots) {
  const std::vector<Candidate> shots{photo(12, 0.4), photo(12, 0.8)};
  const auto choice = choose_best(shots);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("sharper"));
}

TEST(BestOf, TheOriginalBeforeItsReducedCopyThoughThatIsSharperPerPixel) {
  std::vector<Candidate> files{photo(2, 0.9), photo(12, 0.5)};
  files[1].has_gps = files[1].has_taken = true;
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("more pixels", "has its time", "has GPS"));
}

TEST(BestOf, WhatAPersonRatedHigher) {
  std::vector<Candidate> files{photo(12, 0.9), photo(3, 0.5)};
  files[0].has_gps = true;
  files[1].rating = 5;
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("rated higher"));
}

TEST(BestOf, NeverTheRejected) {
  std::vector<Candidate> files{photo(48, 0.99), photo(1, 0.1)};
  files[0].rating = -1;
  files[0].has_gps = files[0].has_taken = files[0].raw = true;
  EXPECT_EQ(choose_best(files).best, 1U);
}

TEST(BestOf, TheFileThatKnowsMore) {
  std::vector<Candidate> files{photo(12, 0.7), photo(12, 0.7), photo(12, 0.7)};
  files[1].has_gps = files[1].has_taken = true;
  files[2].has_taken = true;
  files[1].keywords = 3;
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("has GPS", "more keywords"));
}

TEST(BestOf, RawBeforeJpegAndLosslessBeforeLossy) {
  std::vector<Candidate> files{photo(12, 0.7), photo(12, 0.7), photo(12, 0.7)};
  files[1].lossless = true;
  EXPECT_EQ(choose_best(files).best, 1U);
  files[2].raw = true;
  EXPECT_EQ(choose_best(files).best, 2U);
  EXPECT_THAT(choose_best(files).reasons, ElementsAre("raw"));
}

TEST(BestOf, OfEqualsTheFirst) {
  const std::vector<Candidate> files{photo(12, 0.7), photo(12, 0.7)};
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 0U);
  EXPECT_THAT(choice.reasons, ElementsAre("no better, but first"));
}

TEST(BestOf, OneAloneNeedsNoReason) {
  const std::vector<Candidate> files{photo(12, 0.7)};
  EXPECT_EQ(choose_best(files).best, 0U);
  EXPECT_TRUE(choose_best(files).reasons.empty());
}

TEST(BestOf, WithoutQualityTheRestDecides) {
  const std::vector<Candidate> files{Candidate{.pixels = kMegapixel}, Candidate{.pixels = 2 * kMegapixel}};
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("more pixels"));
}

}  // namespace
}  // namespace image_engine::vision
