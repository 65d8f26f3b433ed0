#include "video/model_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

namespace image_engine::video {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using Small = std::vector<std::uint8_t>;

constexpr double kFrameSeconds = 1.0 / 25;

// What the stand-in for the model is to say of a frame; it is in the pixels of a corner that both sizes have whole.
struct Said {
  float middle = 0, within = 0;
  bool one_colour = false;
};

Small small_frame(const Said& said, std::uint8_t number = 0) {
  Small rgb(std::size_t{kSmallWidth} * kSmallHeight * 3, 0);
  for (std::size_t y = 0; y < kSmallHeight; ++y)
    for (std::size_t x = 0; x < kSmallWidth; ++x) {
      std::uint8_t* const pixel = &rgb[(y * kSmallWidth + x) * 3];
      const bool is_corner = x < 4 && y < 4, is_bright = !said.one_colour && x >= kSmallWidth / 2;
      const auto level = [](float score) { return static_cast<std::uint8_t>(std::lround(score * 255)); };
      if (is_corner)
        pixel[0] = level(said.middle), pixel[1] = level(said.within), pixel[2] = number;
      else
        pixel[0] = pixel[1] = pixel[2] = is_bright ? 200 : 0;
    }
  return rgb;
}

Result<WindowScores> what_is_said(std::span<const std::uint8_t> frames) {
  WindowScores scores;
  for (std::size_t i = 0; i < kWindowFrames; ++i) {
    scores.middle[i] = static_cast<float>(frames[i * kModelFrameBytes]) / 255;
    scores.within[i] = static_cast<float>(frames[i * kModelFrameBytes + 1]) / 255;
  }
  return scores;
}

// Of 25 frames a second.
class ModelFilm {
 public:
  explicit ModelFilm(ScoreWindow score = what_is_said) : detector_(make_model_detector(std::move(score))) {}

  ModelFilm& show(const Said& said, int count = 1) {
    for (int i = 0; i < count; ++i) {
      const double now = static_cast<double>(index_) * kFrameSeconds;
      const Small rgb = small_frame(said, static_cast<std::uint8_t>(index_));
      const std::vector<SceneChange> found = detector_->add({index_++, now, rgb}).value();
      for (const SceneChange& change : found) {
        late_ = std::max(late_, now - change.to_seconds);
        changes_.push_back(change);
      }
    }
    return *this;
  }
  std::vector<SceneChange> end() {
    const std::vector<SceneChange> found = detector_->finish().value();
    changes_.insert(changes_.end(), found.begin(), found.end());
    index_ = 0;
    return std::exchange(changes_, {});
  }
  [[nodiscard]] double late() const { return late_; }
  [[nodiscard]] double most_late() const { return detector_->delay(kFrameSeconds); }

 private:
  std::unique_ptr<SceneDetector> detector_;
  std::vector<SceneChange> changes_;
  std::int64_t index_ = 0;
  double late_ = 0;
};

auto change_of(ChangeKind kind, std::int64_t from, std::int64_t to) {
  return AllOf(Field(&SceneChange::kind, kind), Field(&SceneChange::from, from), Field(&SceneChange::to, to),
               Field(&SceneChange::from_seconds, testing::DoubleNear(static_cast<double>(from) * kFrameSeconds, 1e-9)),
               Field(&SceneChange::to_seconds, testing::DoubleNear(static_cast<double>(to) * kFrameSeconds, 1e-9)));
}

constexpr Said kQuiet{}, kMiddleOfCut{0.9F, 0.8F}, kWithin{0.1F, 0.9F};

TEST(ModelDetector, WindowsOverlapAndGoBeyondTheEnds) {
  std::vector<std::vector<int>> windows;
  ModelFilm film([&](std::span<const std::uint8_t> frames) {
    std::vector<int>& numbers = windows.emplace_back();
    for (std::size_t i = 0; i < kWindowFrames; ++i) numbers.push_back(frames[i * kModelFrameBytes + 2]);
    return what_is_said(frames);
  });
  constexpr int kCount = 130;
  film.show(kQuiet, kCount).end();
  ASSERT_EQ(windows.size(), 3U);
  for (int window = 0; window < 3; ++window)
    for (int i = 0; i < static_cast<int>(kWindowFrames); ++i)
      EXPECT_EQ(windows[window][i], std::clamp(50 * window - 25 + i, 0, kCount - 1)) << window << ' ' << i;
}

TEST(ModelDetector, NothingAndOneFrameHaveNoChange) {
  EXPECT_THAT(ModelFilm().end(), IsEmpty());
  EXPECT_THAT(ModelFilm().show(kMiddleOfCut).end(), IsEmpty());
}

TEST(ModelDetector, ACutIsBehindItsMiddle) {
  for (int at : {20, 49, 50, 74, 99, 100}) {
    ModelFilm film;
    film.show(kQuiet, at).show(kMiddleOfCut).show(kQuiet, 130);
    EXPECT_THAT(film.end(), ElementsAre(change_of(ChangeKind::kCut, at, at + 1))) << at;
  }
}

TEST(ModelDetector, ManyFramesAreADissolveAndThroughOneColourAFade) {
  ModelFilm film;
  const auto show = [&](bool one_colour) {
    film.show(kQuiet, 40).show(kWithin, 10).show({0.1F, 0.9F, one_colour}, 3).show(kWithin, 7).show(kQuiet, 40);
    return film.end();
  };
  EXPECT_THAT(show(false), ElementsAre(change_of(ChangeKind::kDissolve, 39, 60)));
  EXPECT_THAT(show(true), ElementsAre(change_of(ChangeKind::kFade, 39, 60)));
}

TEST(ModelDetector, PartsOfOneChangeAreOne) {
  ModelFilm film;
  film.show(kQuiet, 40).show(kWithin, 8).show({0, 0, true}, 5).show(kWithin, 8).show(kQuiet, 60);
  EXPECT_THAT(film.end(), ElementsAre(change_of(ChangeKind::kFade, 39, 61)));
}

TEST(ModelDetector, WhatHasNoMiddleIsNoChange) {
  ModelFilm film;
  film.show(kQuiet, 40).show({0.01F, 0.9F}, 20).show(kQuiet, 40).show({0.4F, 0.9F}, 1).show(kQuiet, 40);
  EXPECT_THAT(film.end(), IsEmpty());
}

TEST(ModelDetector, ScenesLastAsLongAsTheShortest) {
  ModelFilm film;
  film.show(kQuiet, 5).show(kMiddleOfCut);                                           // too early
  film.show(kQuiet, 60).show({0.6F, 0.6F}).show(kQuiet, 9).show(kMiddleOfCut);       // the second is surer
  film.show(kQuiet, 60).show(kMiddleOfCut).show(kQuiet, 9).show({0.02F, 0.6F}, 30);  // the first is surer
  film.show(kQuiet, 60).show(kMiddleOfCut).show(kQuiet, 5);                          // too late
  EXPECT_THAT(film.end(), ElementsAre(change_of(ChangeKind::kCut, 76, 77), change_of(ChangeKind::kCut, 137, 138)));
}

TEST(ModelDetector, ItSaysHowLateItIs) {
  ModelFilm film;
  for (int phase : {0, 7, 23, 49})
    film.show(kQuiet, 60 + phase)
        .show(kMiddleOfCut)
        .show(kQuiet, 9)
        .show(kWithin, 99)
        .show(kQuiet, 60)
        .show(kWithin, 250);
  EXPECT_FALSE(film.end().empty());
  EXPECT_GT(film.late(), 3);
  EXPECT_LE(film.late(), film.most_late());
}

TEST(ModelDetector, AfterTheEndItIsAsNew) {
  ModelFilm film;
  for (int times = 0; times < 2; ++times)
    EXPECT_THAT(film.show(kQuiet, 60).show(kMiddleOfCut).show(kQuiet, 37).end(),
                ElementsAre(change_of(ChangeKind::kCut, 60, 61)));
}

TEST(ModelDetector, ErrorsAreTheModels) {
  const auto failing = [](std::span<const std::uint8_t>) -> Result<WindowScores> {
    return fail(ErrorCode::kOutOfMemory, "the model has no memory");
  };
  const auto detector = make_model_detector(failing);
  const Small rgb = small_frame(kQuiet);
  Result<std::vector<SceneChange>> found;
  for (int i = 0; found && i < 75; ++i) found = detector->add({i, i * kFrameSeconds, rgb});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kOutOfMemory);
  const auto short_one = make_model_detector(failing);
  ASSERT_TRUE(short_one->add({0, 0, rgb}));
  EXPECT_FALSE(short_one->finish());
}

TEST(ModelDetector, FramesOfAnotherSizeAreIgnored) {
  const auto detector = make_model_detector(what_is_said);
  const Small rgb(12);
  EXPECT_THAT(detector->add({0, 0, rgb}).value(), IsEmpty());
  EXPECT_THAT(detector->finish().value(), IsEmpty());
}

// Each pixel of the smaller picture is the mean of the area that it covers.
TEST(ModelFrame, AveragesAreas) {
  Small rgb(std::size_t{kSmallWidth} * kSmallHeight * 3);
  for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<std::uint8_t>(i * 7919 % 251);
  const auto frame = model_frame(rgb);
  constexpr double kSide = 4.0 / 3;
  const auto share = [](std::size_t of, std::size_t small) {
    const double from = static_cast<double>(of) * kSide, to = from + kSide, at = static_cast<double>(small);
    return std::max(0.0, std::min(to, at + 1) - std::max(from, at)) / kSide;
  };
  for (std::size_t y = 0; y < kModelHeight; ++y)
    for (std::size_t x = 0; x < kModelWidth; ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        double mean = 0;
        for (std::size_t j = 0; j < kSmallHeight; ++j)
          for (std::size_t i = 0; i < kSmallWidth; ++i)
            if (share(y, j) > 0) mean += share(y, j) * share(x, i) * rgb[(j * kSmallWidth + i) * 3 + c];
        ASSERT_NEAR(frame[(y * kModelWidth + x) * 3 + c], mean, 0.5 + 1e-6) << x << ' ' << y;
      }
}

}  // namespace
}  // namespace image_engine::video
