#include "pipeline/video_summary.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/frames_between.h"

namespace image_engine::pipeline {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Seen {
  std::string name;
  double left = 0, confidence = 0.9;
};

// A record of the stage `objects`: boxes of 40 × 80 pixels.
std::string record_of(const std::vector<Seen>& seen) {
  std::string list;
  for (const Seen& one : seen)
    list += fmt::format(R"({}{{"object": "{}", "confidence": {}, "bbox": [{}, 10, 40, 80]}})", list.empty() ? "" : ", ",
                        one.name, one.confidence, one.left);
  return fmt::format(R"({{"objects": [{}], "object_count": {}}})", list, seen.size());
}

store::Moment frame_at(double from, double to) { return {1, store::MomentKind::kFrame, from, to}; }

// A video's frames, a second apart.
class FramesOfObjects {
 public:
  explicit FramesOfObjects(std::vector<std::vector<Seen>> frames) {
    for (const auto& frame : frames) records_.push_back(record_of(frame));
    for (const std::string& record : records_) frames_.push_back({static_cast<double>(frames_.size()), record});
  }
  [[nodiscard]] StageOutput whole() const { return video_stage(kObjectsStage)->summarize(frames_, {}); }
  // "2 person, 1 dog" in the moment from that second to the next.
  [[nodiscard]] std::vector<std::string> at(std::size_t second) const {
    return named(objects_at(frame_at(static_cast<double>(second), static_cast<double>(second + 1)), records_[second],
                            tracks_of(frames_, {})));
  }
  static std::vector<std::string> named(const store::CountFacts& counts) {
    std::vector<std::string> all;
    for (const store::FoundObjects& found : counts.things) all.push_back(fmt::format("{} {}", found.count, found.name));
    return all;
  }
  [[nodiscard]] std::vector<std::string> of_all() const {
    return named(std::get<store::CountFacts>(whole().facts.at(0)));
  }

 private:
  std::vector<std::string> records_;
  std::vector<FrameData> frames_;
};

TEST(ObjectsOfVideos, OneThatAFrameMissesIsThereAllTheSame) {
  const FramesOfObjects frames({{{"person", 0}, {"person", 200}}, {{"person", 0}}, {{"person", 0}, {"person", 200}}});
  EXPECT_THAT(frames.at(1), ElementsAre("2 person"));
  EXPECT_THAT(frames.of_all(), ElementsAre("2 person"));
}

TEST(ObjectsOfVideos, ASecondBoxThatMakesNoTrackIsNoSecondThing) {
  const FramesOfObjects frames({{{"person", 0}}, {{"person", 0}, {"person", 15, 0.55}}, {{"person", 0}}});
  EXPECT_THAT(frames.at(1), ElementsAre("1 person"));
  EXPECT_THAT(frames.of_all(), ElementsAre("1 person"));
}

TEST(ObjectsOfVideos, ThingsThatAreNeverThereTogetherAreNotCountedTogether) {
  const FramesOfObjects frames({{{"dog", 0}}, {{"dog", 0}}, {}, {}, {}, {}, {{"dog", 500}}, {{"dog", 500}}});
  EXPECT_THAT(frames.of_all(), ElementsAre("1 dog"));
  EXPECT_THAT(frames.at(4), IsEmpty());
}

TEST(ObjectsOfVideos, WhatIsTooUnsureForATrackIsFoundAllTheSame) {
  const FramesOfObjects frames({{{"dog", 0, 0.45}}, {}});
  EXPECT_THAT(frames.at(0), ElementsAre("1 dog"));
  EXPECT_THAT(frames.of_all(), ElementsAre("1 dog"));
}

TEST(ObjectsOfVideos, FramesBetweenAreNeededWhereBoxesOfOneNamePart) {
  const std::string still = record_of({{"person", 0}}), moved = record_of({{"person", 100}});
  EXPECT_TRUE(needs_frames_between(still, moved));
  EXPECT_FALSE(needs_frames_between(still, still));
  EXPECT_FALSE(needs_frames_between(still, record_of({{"person", 10}})));
  EXPECT_FALSE(needs_frames_between(still, record_of({{"dog", 100}}))) << "another thing";
  EXPECT_FALSE(needs_frames_between(still, record_of({{"person", 0}, {"person", 100}}))) << "one has come";
  EXPECT_FALSE(needs_frames_between(still, record_of({{"person", 100, 0.3}}))) << "too unsure";
  EXPECT_FALSE(needs_frames_between("", still)) << "the first frame";
}

TEST(ObjectsOfVideos, ARecordOfFramesBetweenIsReadAsFrames) {
  const auto frames = frames_of_record(R"([{"at": 1.25, "objects": [{"object": "dog", "confidence": 0.9,
                                           "bbox": [1, 2, 3, 4]}]}, {"at": "no"}, 7])");
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].seconds, 1.25);
  ASSERT_EQ(sightings_of(frames[0].data).size(), 1U);
  EXPECT_EQ(sightings_of(frames[0].data)[0].name, "dog");
  EXPECT_THAT(frames_of_record("{}"), IsEmpty());
}

}  // namespace
}  // namespace image_engine::pipeline
