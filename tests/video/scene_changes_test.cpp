#include "video/scene_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

namespace image_engine::video {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

constexpr int kWidth = kSmallWidth, kHeight = kSmallHeight;
using Pixels = std::vector<std::uint8_t>;

// A drawn landscape, larger than a frame: blots, large ones and small ones. Another seed gives other blots in other
// colours.
class Scene {
 public:
  explicit Scene(unsigned seed) {
    std::mt19937 random(seed);
    const auto draw = [&](double least, double most) { return std::uniform_real_distribution(least, most)(random); };
    for (double& channel : ground_) channel = draw(40, 215);
    for (int i = 0; i < 60; ++i)
      blots_.push_back(
          {draw(-20, 150), draw(-20, 60), draw(3, 12), {draw(-110, 110), draw(-110, 110), draw(-110, 110)}});
  }

  // Seen from `x`, `y` pixels to the right and below.
  Pixels at(double x, double y = 0) const {
    Pixels pixels;
    for (int row = 0; row < kHeight; ++row)
      for (int column = 0; column < kWidth; ++column)
        for (int channel = 0; channel < 3; ++channel) pixels.push_back(value(column + x, row + y, channel));
    return pixels;
  }

 private:
  struct Blot {
    double x, y, size, colour[3];
  };

  std::uint8_t value(double x, double y, int channel) const {
    double value = ground_[channel];
    for (const Blot& blot : blots_) {
      const double away = ((x - blot.x) * (x - blot.x) + (y - blot.y) * (y - blot.y)) / (blot.size * blot.size);
      if (away < 9) value += blot.colour[channel] * std::exp(-away);
    }
    return static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
  }

  double ground_[3];
  std::vector<Blot> blots_;
};

Pixels mix(const Pixels& a, const Pixels& b, double share) {
  Pixels mixed(a.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    mixed[i] = static_cast<std::uint8_t>(std::lround(a[i] * (1 - share) + b[i] * share));
  return mixed;
}

Pixels plain(std::uint8_t value) { return Pixels(std::size_t{kWidth} * kHeight * 3, value); }

// Frames at 25 a second, unless said otherwise; what the detector finds in them.
class Film {
 public:
  explicit Film(SceneDetectorOptions options = {}) : detector_(make_scene_detector(options)) {}

  Film& show(const Pixels& pixels, double seconds = 1.0 / 25) {
    for (const SceneChange& change : detector_->add({index_, now_, pixels})) {
      late_ = std::max(late_, now_ - change.to_seconds);
      changes_.push_back(change);
    }
    ++index_;
    now_ += seconds;
    return *this;
  }
  // `count` frames of a scene in which the camera moves on by `speed` pixels a frame.
  Film& show(const Scene& scene, int count, double speed = 0.2) {
    for (int i = 0; i < count; ++i) show(scene.at(speed * i));
    return *this;
  }
  std::vector<SceneChange> end() {
    for (const SceneChange& change : detector_->finish()) changes_.push_back(change);
    return std::exchange(changes_, {});
  }
  double late() const { return late_; }

 private:
  std::unique_ptr<SceneDetector> detector_;
  std::vector<SceneChange> changes_;
  std::int64_t index_ = 0;
  double now_ = 0, late_ = 0;
};

auto cut_before(std::int64_t frame) {
  return AllOf(Field(&SceneChange::kind, ChangeKind::kCut), Field(&SceneChange::from, frame - 1),
               Field(&SceneChange::to, frame));
}

// Each end may be wrong by `within` frames.
auto gradual(ChangeKind kind, std::int64_t from, std::int64_t to, std::int64_t within) {
  const auto near = [&](std::int64_t frame) { return AllOf(testing::Ge(frame - within), testing::Le(frame + within)); };
  return AllOf(Field(&SceneChange::kind, kind), Field(&SceneChange::from, near(from)),
               Field(&SceneChange::to, near(to)));
}

TEST(SceneChanges, NothingAndOneFrameHaveNone) {
  EXPECT_THAT(Film().end(), IsEmpty());
  EXPECT_THAT(Film().show(Scene(1).at(0)).end(), IsEmpty());
  EXPECT_THAT(Film().show(plain(0)).end(), IsEmpty());
}

TEST(SceneChanges, FramesOfAnotherSizeAreIgnored) {
  EXPECT_THAT(Film().show(Scene(1), 30).show(Pixels(12)).show(Pixels()).show(Scene(1), 30).end(), IsEmpty());
}

TEST(SceneChanges, ACutIsFoundAtItsFrameAndTime) {
  Film film;
  const std::vector<SceneChange> changes = film.show(Scene(1), 40).show(Scene(2), 40).show(Scene(3), 40).end();
  ASSERT_THAT(changes, ElementsAre(cut_before(40), cut_before(80)));
  EXPECT_NEAR(changes[0].from_seconds, 39.0 / 25, 1e-9);
  EXPECT_NEAR(changes[0].to_seconds, 40.0 / 25, 1e-9);
  EXPECT_GT(changes[0].score, 0);
  EXPECT_LE(changes[0].score, 1);
}

TEST(SceneChanges, BlackBarsHideNoCut) {
  const auto barred = [](Pixels pixels) {
    for (int row = 0; row < kHeight; ++row)
      for (int column = 0; column < kWidth; ++column)
        if (column < 22 || column >= 42) std::fill_n(pixels.begin() + (row * kWidth + column) * 3, 3, 16);
    return pixels;
  };
  Film film;
  for (int i = 0; i < 80; ++i) film.show(barred(i < 40 ? Scene(1).at(i * 0.2) : Scene(1).at(60 + i * 0.2)));
  EXPECT_THAT(film.end(), ElementsAre(cut_before(40)));
}

TEST(SceneChanges, AFadeThroughBlackOrWhiteIsOneChange) {
  for (std::uint8_t colour : {0, 255}) {
    Film film;
    film.show(Scene(1), 40);
    for (int i = 1; i <= 12; ++i) film.show(mix(Scene(1).at(8 + i * 0.2), plain(colour), i / 12.0));
    for (int i = 0; i < 5; ++i) film.show(plain(colour));
    for (int i = 12; i >= 1; --i) film.show(mix(Scene(2).at((12 - i) * 0.2), plain(colour), i / 12.0));
    film.show(Scene(2), 40, 0);
    EXPECT_THAT(film.end(), ElementsAre(gradual(ChangeKind::kFade, 39, 69, 3))) << int{colour};
  }
}

TEST(SceneChanges, BlackThatStaysIsASceneOfItsOwn) {
  Film film;
  film.show(Scene(1), 40);
  for (int i = 1; i <= 12; ++i) film.show(mix(Scene(1).at(8), plain(0), i / 12.0));
  for (int i = 0; i < 100; ++i) film.show(plain(0));
  for (int i = 12; i >= 1; --i) film.show(mix(Scene(2).at(0), plain(0), i / 12.0));
  film.show(Scene(2), 40, 0);
  EXPECT_THAT(film.end(), ElementsAre(gradual(ChangeKind::kFade, 39, 51, 3), gradual(ChangeKind::kFade, 151, 164, 3)));
}

TEST(SceneChanges, ADissolveIsOneChange) {
  for (int length : {10, 20, 40}) {
    Film film;
    film.show(Scene(1), 50);
    for (int i = 1; i <= length; ++i)
      film.show(mix(Scene(1).at(10 + i * 0.2), Scene(2).at(i * 0.2), i / (length + 1.0)));
    for (int i = 0; i < 50; ++i) film.show(Scene(2).at((length + i) * 0.2));
    EXPECT_THAT(film.end(), ElementsAre(gradual(ChangeKind::kDissolve, 49, 50 + length, 4))) << length;
  }
}

TEST(SceneChanges, AFlashIsNoCut) {
  for (int length : {1, 2, 4}) {
    Film film;
    for (int i = 0; i < 90; ++i) {
      const Pixels pixels = Scene(1).at(i * 0.2);
      film.show(i >= 40 && i < 40 + length ? mix(pixels, plain(255), 0.8) : pixels);
    }
    EXPECT_THAT(film.end(), IsEmpty()) << length;
  }
}

TEST(SceneChanges, AnotherLightIsNoCut) {
  Film film;
  for (int i = 0; i < 90; ++i) film.show(i < 45 ? Scene(1).at(i * 0.2) : mix(Scene(1).at(i * 0.2), plain(0), 0.4));
  EXPECT_THAT(film.end(), IsEmpty());
}

TEST(SceneChanges, APanIsNoChange) {
  for (double speed : {0.5, 1.0, 2.0})
    EXPECT_THAT(Film().show(Scene(3), static_cast<int>(60 / speed), speed).end(), IsEmpty()) << speed;
}

TEST(SceneChanges, AShakingCameraIsNoCut) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> shake(-1.5, 1.5);
  Film film;
  for (int i = 0; i < 150; ++i) film.show(Scene(4).at(10 + shake(random), 3 + shake(random)));
  EXPECT_THAT(film.end(), IsEmpty());
}

TEST(SceneChanges, FrameRatesMayVary) {
  Film film;
  film.show(Scene(1), 40);
  for (int i = 0; i < 30; ++i) film.show(Scene(2).at(i * 0.5), i % 3 == 0 ? 0.2 : 0.02);
  for (int i = 0; i < 30; ++i) film.show(Scene(3).at(i * 0.5), 0.5);
  EXPECT_THAT(film.end(), ElementsAre(cut_before(40), cut_before(70)));
}

TEST(SceneChanges, TimesThatGoBackwardsOrAreMissingLoseNoCut) {
  Film film;
  film.show(Scene(1), 40).show(Scene(1).at(8), -3);
  for (int i = 0; i < 40; ++i)
    film.show(Scene(2).at(i * 0.2), i == 10 ? std::numeric_limits<double>::quiet_NaN() : 0.04);
  EXPECT_LE(film.end().size(), 1);
}

TEST(SceneChanges, RepeatedFramesHideNoCut) {
  Film film;
  for (int i = 0; i < 120; ++i) film.show((i < 60 ? Scene(1) : Scene(2)).at(i / 3 * 0.6));
  EXPECT_THAT(film.end(), ElementsAre(cut_before(60)));
}

TEST(SceneChanges, WhatIsShorterThanAShortestSceneIsNone) {
  const auto insert = [](double shortest) {
    return Film({.shortest_scene = shortest}).show(Scene(1), 50).show(Scene(2), 15).show(Scene(3), 50).end();
  };
  EXPECT_EQ(insert(0.4).size(), 2);
  EXPECT_EQ(insert(1).size(), 1);
}

TEST(SceneChanges, SensitivityDecidesOnWeakCuts) {
  const auto weak = [](float sensitivity) {
    Film film({.sensitivity = sensitivity});
    for (int i = 0; i < 80; ++i) film.show(mix(Scene(1).at(i * 0.1), Scene(i < 40 ? 2 : 3).at(i * 0.1), 0.5));
    return film.end();
  };
  EXPECT_THAT(weak(1), ElementsAre(cut_before(40)));
  EXPECT_THAT(weak(0.2f), IsEmpty());
}

TEST(SceneChanges, ADetectorBeginsAnewAfterItsEnd) {
  Film film;
  EXPECT_THAT(film.show(Scene(1), 40).show(Scene(2), 40).end(), ElementsAre(cut_before(40)));
  EXPECT_THAT(film.show(Scene(1), 40).show(Scene(2), 40).end(), ElementsAre(cut_before(120)));
}

TEST(SceneChanges, ChangesOfALongVideoComeInOrderAndSoon) {
  const std::vector<Pixels> scenes = {Scene(1).at(0), Scene(2).at(0), Scene(3).at(0)};
  Film film;
  for (int i = 0; i < 10000; ++i) film.show(scenes[i / 100 % 3]);
  EXPECT_LE(film.late(), 3);
  const std::vector<SceneChange> changes = film.end();
  ASSERT_EQ(changes.size(), 99);
  for (std::size_t i = 0; i < changes.size(); ++i) EXPECT_EQ(changes[i].to, static_cast<std::int64_t>(i + 1) * 100);
}

}  // namespace
}  // namespace image_engine::video
