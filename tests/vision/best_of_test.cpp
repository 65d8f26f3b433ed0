#include "vision/best_of.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace image_engine::vision {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

Candidate photo(std::uint32_t width, double sharpness) {
  Candidate candidate;
  candidate.metadata.format = MediaFormat::kJpeg;
  candidate.metadata.width = width;
  candidate.metadata.height = width * 3 / 4;
  candidate.quality = Quality{.sharpness = sharpness, .exposure = 0.8, .noise = 0.1};
  candidate.bytes = std::uint64_t{width} * width / 4;
  return candidate;
}

Candidate with_gps_and_time(Candidate candidate) {
  candidate.metadata.gps = Gps{48, 11, {}};
  candidate.metadata.taken = CaptureTime{"2020-05-01T10:00:00", {}};
  return candidate;
}

TEST(BestOf, TheSharperOfTwoShots) {
  const std::vector<Candidate> shots{photo(4000, 0.4), photo(4000, 0.8)};
  const auto choice = choose_best(shots);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("sharper"));
}

// fruits.jpg of the samples, 512 × 480, has 0.8287; halved by Lanczos' filter 0.8775.
TEST(BestOf, TheOriginalBeforeItsReducedCopyThoughThatIsSharperPerPixel) {
  const std::vector<Candidate> files{photo(256, 0.8775), photo(512, 0.8287)};
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("more detail", "more bytes"));
  EXPECT_TRUE(is_really_better(files[1], files[0]));
  EXPECT_THAT(advantages(files[0], files[1]), IsEmpty());
}

// Enlarged four times by a bicubic filter: the median of docs/duplicates.md.
TEST(BestOf, TheOriginalBeforeWhatWasMadeOfIt) {
  const std::vector<Candidate> files{photo(4000, 0.15), photo(1000, 0.85)};
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, Contains("not enlarged"));
  EXPECT_FALSE(is_really_better(files[0], files[1]));
}

TEST(BestOf, WhereDetailIsInDoubtNeitherIsCalledBetter) {
  const std::vector<Candidate> files{photo(2000, 0.60), photo(1000, 0.80)};
  EXPECT_FALSE(is_really_better(files[0], files[1]));
  EXPECT_THAT(advantages(files[0], files[1]), Contains("more pixels"));
  EXPECT_FALSE(is_really_better(files[1], files[0]));
}

TEST(BestOf, WhatAPersonRatedHigher) {
  std::vector<Candidate> files{with_gps_and_time(photo(4000, 0.9)), photo(2000, 0.5)};
  files[1].rating = 5;
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("rated higher"));
  EXPECT_THAT(advantages(files[0], files[1]), Contains("has GPS"));
}

TEST(BestOf, NeverTheRejected) {
  std::vector<Candidate> files{with_gps_and_time(photo(8000, 0.99)), photo(1000, 0.1)};
  files[0].rating = -1;
  files[0].metadata.format = MediaFormat::kDng;
  EXPECT_EQ(choose_best(files).best, 1U);
}

TEST(BestOf, TheFileThatKnowsMore) {
  std::vector<Candidate> files{photo(4000, 0.7), with_gps_and_time(photo(4000, 0.7)), photo(4000, 0.7)};
  files[2].metadata.taken = files[1].metadata.taken;
  files[1].words = {"cat", "dog", "bird"};
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("has GPS", "has own keywords"));
  for (const std::size_t other : {0U, 2U}) EXPECT_TRUE(is_really_better(files[1], files[other]));
}

TEST(BestOf, TimeAndGpsOutweighPixelsThatAddLittle) {
  const std::vector<Candidate> files{photo(1200, 0.75), with_gps_and_time(photo(1000, 0.78))};
  EXPECT_EQ(choose_best(files).best, 1U);
}

TEST(BestOf, WhatAnotherOneWroteIsAnAdvantageOfEach) {
  std::vector<Candidate> files{with_gps_and_time(photo(4000, 0.7)), with_gps_and_time(photo(4000, 0.7))};
  files[0].metadata.taken->local = "2020-05-01T10:00:01";
  files[0].metadata.gps->longitude = 11.01;  // 740 m
  files[0].words = {"cat"};
  files[1].words = {"dog"};
  files[0].metadata.title = "Cat";
  files[1].title = "Dog";
  for (const std::size_t one : {0U, 1U})
    EXPECT_THAT(advantages(files[one], files[1 - one]),
                ElementsAre("another time", "another place", "has own keywords", "has its own title"));
}

TEST(BestOf, RawBeforeJpegAndAClipBeforeItsStill) {
  std::vector<Candidate> files{photo(4000, 0.7), photo(4000, 0.7), photo(4000, 0.7)};
  files[1].clip = "1";
  EXPECT_EQ(choose_best(files).best, 1U);
  EXPECT_THAT(choose_best(files).reasons, ElementsAre("has a clip"));
  files[2].metadata.format = MediaFormat::kDng;
  EXPECT_EQ(choose_best(files).best, 2U);
  EXPECT_THAT(choose_best(files).reasons, Contains("raw"));
  EXPECT_FALSE(is_really_better(files[2], files[0])) << "the JPEG may be edited";
}

// Saved from a JPEG, a PNG has more bytes and bits and nothing more to show.
TEST(BestOf, LosslessAndDeeperIsNotBetterButNotTheSame) {
  std::vector<Candidate> files{photo(4000, 0.7), photo(4000, 0.7)};
  files[0].metadata.format = MediaFormat::kPng;
  files[0].metadata.bit_depth = 16;
  files[0].bytes *= 10;
  EXPECT_FALSE(is_really_better(files[0], files[1]));
  EXPECT_THAT(advantages(files[0], files[1]), ElementsAre("more colours", "lossless"));
  EXPECT_EQ(choose_best(std::vector<Candidate>{photo(4000, 0.7), with_gps_and_time(photo(4000, 0.7))}).best, 1U);
  files[1] = with_gps_and_time(files[1]);
  EXPECT_EQ(choose_best(files).best, 1U);
}

TEST(BestOf, WhatOnlyOneOfThemHasKeepsIt) {
  const auto one = [](auto change) {
    std::vector<Candidate> files{photo(4000, 0.7), photo(4000, 0.7)};
    change(files[0]);
    return advantages(files[0], files[1]);
  };
  EXPECT_THAT(one([](Candidate& c) { c.has_sidecar = true; }), ElementsAre("has a sidecar"));
  EXPECT_THAT(one([](Candidate& c) { c.metadata.frames = 12; }), ElementsAre("more frames or pages"));
  EXPECT_THAT(one([](Candidate& c) { c.metadata.model = "D90"; }), ElementsAre("names its camera"));
  EXPECT_THAT(one([](Candidate& c) { c.metadata.description = "Lunch"; }), ElementsAre("has its own description"));
  EXPECT_THAT(one([](Candidate& c) { c.metadata.copyright = "A. B."; }), ElementsAre("names its creator"));
  EXPECT_THAT(one([](Candidate& c) { c.metadata.label = "Red"; }), ElementsAre("has its own colour label"));
  EXPECT_THAT(one([](Candidate& c) { c.metadata.colour_profile = "Adobe RGB"; }),
              ElementsAre("has another colour profile"));
  EXPECT_THAT(one([](Candidate& c) { c.metadata.colour_profile = "sRGB IEC61966-2.1"; }), IsEmpty());
  EXPECT_THAT(one([](Candidate& c) { c.metadata.has_alpha = true; }), ElementsAre("has transparency"));
  EXPECT_THAT(one([](Candidate& c) { c.metadata.format = MediaFormat::kHeif; }), ElementsAre("another format"));
  EXPECT_THAT(one([](Candidate& c) { c.bytes += 1; }), ElementsAre("more bytes"));
}

TEST(BestOf, OfEqualsTheFirst) {
  const std::vector<Candidate> files{photo(4000, 0.7), photo(4000, 0.7)};
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 0U);
  EXPECT_THAT(choice.reasons, ElementsAre("no better, but first"));
  EXPECT_FALSE(is_really_better(files[0], files[1]));
}

TEST(BestOf, OneAloneNeedsNoReason) {
  const std::vector<Candidate> files{photo(4000, 0.7)};
  EXPECT_EQ(choose_best(files).best, 0U);
  EXPECT_TRUE(choose_best(files).reasons.empty());
}

TEST(BestOf, WithoutQualityPixelsDecideWhichIsFirstAndNothingElse) {
  std::vector<Candidate> files{photo(1000, 0), photo(2000, 0)};
  for (Candidate& file : files) file.quality.reset();
  const auto choice = choose_best(files);
  EXPECT_EQ(choice.best, 1U);
  EXPECT_THAT(choice.reasons, ElementsAre("more pixels", "more bytes"));
  EXPECT_FALSE(is_really_better(files[1], files[0]));
}

}  // namespace
}  // namespace image_engine::vision
