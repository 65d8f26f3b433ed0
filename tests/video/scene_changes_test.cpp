#include "video/scene_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "tests/support/files.h"

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
    const std::array<double, 3> ground = {draw(40, 215), draw(40, 215), draw(40, 215)};
    for (std::size_t i = 0; i < drawn_.size(); ++i) drawn_[i] = ground[i % 3];
    for (int i = 0; i < 150; ++i) {
      const double x = draw(-10, kDrawnWidth + 10), y = draw(-10, kDrawnHeight + 10),
                   size = i < 30 ? draw(6, 12) : draw(1.5, 4);
      blot(x, y, size, {draw(-110, 110), draw(-110, 110), draw(-110, 110)});
    }
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
  static constexpr int kDrawnWidth = 160, kDrawnHeight = 48;

  void blot(double x, double y, double size, const std::array<double, 3>& colour) {
    for (int row = 0; row < kDrawnHeight; ++row)
      for (int column = 0; column < kDrawnWidth; ++column) {
        const double away = ((column - x) * (column - x) + (row - y) * (row - y)) / (size * size);
        if (away < 9)
          for (std::size_t i = 0; i < 3; ++i)
            drawn_[(row * kDrawnWidth + column) * 3 + i] += colour[i] * std::exp(-away);
      }
  }

  double drawn(int column, int row, int channel) const {
    return drawn_[(std::clamp(row, 0, kDrawnHeight - 1) * kDrawnWidth + std::clamp(column, 0, kDrawnWidth - 1)) * 3 +
                  channel];
  }

  std::uint8_t value(double x, double y, int channel) const {
    const int column = static_cast<int>(x), row = static_cast<int>(y);
    const double right = x - column, below = y - row;
    const double upper = std::lerp(drawn(column, row, channel), drawn(column + 1, row, channel), right);
    const double lower = std::lerp(drawn(column, row + 1, channel), drawn(column + 1, row + 1, channel), right);
    return static_cast<std::uint8_t>(std::clamp(std::lerp(upper, lower, below), 0.0, 255.0));
  }

  std::array<double, kDrawnWidth * kDrawnHeight * 3> drawn_;
};

// Drawn once.
const Scene& scene(unsigned seed) {
  static std::map<unsigned, Scene> scenes;
  return scenes.try_emplace(seed, seed).first->second;
}

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
    const std::vector<SceneChange> found = detector_->add({index_, now_, pixels}).value();
    for (const SceneChange& change : found) {
      late_ = std::max(late_, now_ - change.to_seconds);
      changes_.push_back(change);
    }
    ++index_;
    now_ += seconds;
    return *this;
  }
  // `count` frames of a scene in which the camera moves on by `speed` pixels a frame.
  Film& show(const Scene& shown, int count, double speed = 0.2) {
    for (int i = 0; i < count; ++i) show(shown.at(speed * i));
    return *this;
  }
  std::vector<SceneChange> end() {
    const std::vector<SceneChange> found = detector_->finish().value();
    changes_.insert(changes_.end(), found.begin(), found.end());
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
  EXPECT_THAT(Film().show(scene(1).at(0)).end(), IsEmpty());
  EXPECT_THAT(Film().show(plain(0)).end(), IsEmpty());
}

TEST(SceneChanges, FramesOfAnotherSizeAreIgnored) {
  EXPECT_THAT(Film().show(scene(1), 30).show(Pixels(12)).show(Pixels()).show(scene(1), 30).end(), IsEmpty());
}

TEST(SceneChanges, ACutIsFoundAtItsFrameAndTime) {
  Film film;
  const std::vector<SceneChange> changes = film.show(scene(1), 40).show(scene(2), 40).show(scene(3), 40).end();
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
  for (int i = 0; i < 80; ++i) film.show(barred(i < 40 ? scene(1).at(i * 0.2) : scene(1).at(60 + i * 0.2)));
  EXPECT_THAT(film.end(), ElementsAre(cut_before(40)));
}

TEST(SceneChanges, AFadeThroughBlackOrWhiteIsOneChange) {
  for (std::uint8_t colour : {0, 255}) {
    Film film;
    film.show(scene(1), 40);
    for (int i = 1; i <= 12; ++i) film.show(mix(scene(1).at(8 + i * 0.2), plain(colour), i / 12.0));
    for (int i = 0; i < 5; ++i) film.show(plain(colour));
    for (int i = 12; i >= 1; --i) film.show(mix(scene(2).at((12 - i) * 0.2), plain(colour), i / 12.0));
    film.show(scene(2), 40, 0);
    EXPECT_THAT(film.end(), ElementsAre(gradual(ChangeKind::kFade, 39, 69, 3))) << int{colour};
  }
}

TEST(SceneChanges, BlackThatStaysIsASceneOfItsOwn) {
  Film film;
  film.show(scene(1), 40);
  for (int i = 1; i <= 12; ++i) film.show(mix(scene(1).at(8), plain(0), i / 12.0));
  for (int i = 0; i < 100; ++i) film.show(plain(0));
  for (int i = 12; i >= 1; --i) film.show(mix(scene(2).at(0), plain(0), i / 12.0));
  film.show(scene(2), 40, 0);
  EXPECT_THAT(film.end(), ElementsAre(gradual(ChangeKind::kFade, 39, 51, 3), gradual(ChangeKind::kFade, 151, 164, 3)));
}

TEST(SceneChanges, ADissolveIsOneChange) {
  for (int length : {10, 20, 40}) {
    Film film;
    film.show(scene(1), 50);
    for (int i = 1; i <= length; ++i)
      film.show(mix(scene(1).at(10 + i * 0.2), scene(2).at(i * 0.2), i / (length + 1.0)));
    for (int i = 0; i < 50; ++i) film.show(scene(2).at((length + i) * 0.2));
    EXPECT_THAT(film.end(), ElementsAre(gradual(ChangeKind::kDissolve, 49, 50 + length, 4))) << length;
  }
}

TEST(SceneChanges, AFlashIsNoCut) {
  for (int length : {1, 2, 4}) {
    Film film;
    for (int i = 0; i < 90; ++i) {
      const Pixels pixels = scene(1).at(i * 0.2);
      film.show(i >= 40 && i < 40 + length ? mix(pixels, plain(255), 0.8) : pixels);
    }
    EXPECT_THAT(film.end(), IsEmpty()) << length;
  }
}

TEST(SceneChanges, AnotherLightIsNoCut) {
  Film film;
  for (int i = 0; i < 90; ++i) film.show(i < 45 ? scene(1).at(i * 0.2) : mix(scene(1).at(i * 0.2), plain(0), 0.4));
  EXPECT_THAT(film.end(), IsEmpty());
}

TEST(SceneChanges, APanIsNoChange) {
  for (double speed : {0.5, 1.0, 2.0})
    EXPECT_THAT(Film().show(scene(3), static_cast<int>(60 / speed), speed).end(), IsEmpty()) << speed;
}

TEST(SceneChanges, AShakingCameraIsNoCut) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> shake(-1.5, 1.5);
  Film film;
  for (int i = 0; i < 150; ++i) film.show(scene(4).at(10 + shake(random), 3 + shake(random)));
  EXPECT_THAT(film.end(), IsEmpty());
}

TEST(SceneChanges, FrameRatesMayVary) {
  Film film;
  film.show(scene(1), 40);
  for (int i = 0; i < 30; ++i) film.show(scene(2).at(i * 0.5), i % 3 == 0 ? 0.2 : 0.02);
  for (int i = 0; i < 30; ++i) film.show(scene(3).at(i * 0.5), 0.5);
  EXPECT_THAT(film.end(), ElementsAre(cut_before(40), cut_before(70)));
}

TEST(SceneChanges, TimesThatGoBackwardsOrAreMissingLoseNoCut) {
  Film film;
  film.show(scene(1), 40).show(scene(1).at(8), -3);
  for (int i = 0; i < 40; ++i)
    film.show(scene(2).at(i * 0.2), i == 10 ? std::numeric_limits<double>::quiet_NaN() : 0.04);
  const std::vector<SceneChange> changes = film.end();
  ASSERT_THAT(changes, ElementsAre(cut_before(41)));
  EXPECT_GE(changes[0].to_seconds, changes[0].from_seconds);
}

TEST(SceneChanges, RepeatedFramesHideNoCut) {
  Film film;
  for (int i = 0; i < 120; ++i) film.show((i < 60 ? scene(1) : scene(2)).at(i / 3 * 0.6));
  EXPECT_THAT(film.end(), ElementsAre(cut_before(60)));
}

TEST(SceneChanges, WhatIsShorterThanAShortestSceneIsNone) {
  const auto insert = [](double shortest) {
    return Film({.shortest_scene = shortest}).show(scene(1), 50).show(scene(2), 15).show(scene(3), 50).end();
  };
  EXPECT_EQ(insert(0.4).size(), 2);
  EXPECT_EQ(insert(1).size(), 1);
}

TEST(SceneChanges, SensitivityDecidesOnWeakCuts) {
  const auto weak = [](float sensitivity) {
    Film film({.sensitivity = sensitivity});
    for (int i = 0; i < 80; ++i) film.show(mix(scene(1).at(i * 0.1), scene(i < 40 ? 2 : 3).at(i * 0.1), 0.5));
    return film.end();
  };
  EXPECT_THAT(weak(1), ElementsAre(cut_before(40)));
  EXPECT_THAT(weak(0.2f), IsEmpty());
}

TEST(SceneChanges, ADetectorBeginsAnewAfterItsEnd) {
  Film film;
  EXPECT_THAT(film.show(scene(1), 40).show(scene(2), 40).end(), ElementsAre(cut_before(40)));
  EXPECT_THAT(film.show(scene(1), 40).show(scene(2), 40).end(), ElementsAre(cut_before(120)));
}

TEST(SceneChanges, ADissolveIsFoundAtALowFrameRate) {
  Film film;
  for (int i = 0; i < 20; ++i) film.show(scene(1).at(i * 0.5), 1.0 / 8);
  for (int i = 1; i <= 8; ++i) film.show(mix(scene(1).at(10 + i * 0.5), scene(2).at(i * 0.5), i / 9.0), 1.0 / 8);
  for (int i = 9; i < 29; ++i) film.show(scene(2).at(i * 0.5), 1.0 / 8);
  EXPECT_THAT(film.end(), ElementsAre(gradual(ChangeKind::kDissolve, 19, 28, 2)));
}

TEST(SceneChanges, LightThatChangesSlowlyIsNoDissolve) {
  Film film;
  for (int i = 0; i < 120; ++i)
    film.show(mix(scene(1).at(i * 0.2), plain(0), std::clamp((i - 40) / 40.0, 0.0, 1.0) * 0.6));
  EXPECT_THAT(film.end(), IsEmpty());
}

TEST(SceneChanges, BlackAtTheBeginningAndTheEndIsNoChangeWhereItIsShort) {
  Film film;
  const auto ramp = [&](int i) { return mix(scene(1).at(i * 0.1), plain(0), i / 12.0); };
  film.show(plain(0)).show(plain(0));
  for (int i = 12; i >= 0; --i) film.show(ramp(i));
  film.show(scene(1), 50, 0);
  for (int i = 0; i <= 12; ++i) film.show(ramp(i));
  film.show(plain(0)).show(plain(0));
  EXPECT_THAT(film.end(), IsEmpty());
}

TEST(SceneChanges, ChangesOfALongVideoComeInOrderAndSoon) {
  const std::vector<Pixels> scenes = {scene(1).at(0), scene(2).at(0), scene(3).at(0)};
  Film film;
  for (int i = 0; i < 10000; ++i) film.show(scenes[i / 100 % 3]);
  EXPECT_LE(film.late(), 3);
  const std::vector<SceneChange> changes = film.end();
  ASSERT_EQ(changes.size(), 99);
  for (std::size_t i = 0; i < changes.size(); ++i) EXPECT_EQ(changes[i].to, static_cast<std::int64_t>(i + 1) * 100);
}

// Scenes, black, white and noise in any order and of any length, at any rate, also all at one time.
TEST(SceneChanges, ChangesNeitherOverlapNorComeLateWhateverIsShown) {
  std::vector<Pixels> pan, ramp;
  for (int i = 0; i < 40; ++i) {
    pan.push_back(scene(1).at(i));
    ramp.push_back(mix(scene(2).at(0), plain(0), i / 40.0));
  }
  const Pixels black = plain(0), white = plain(255);
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&](int most) { return static_cast<int>(random() % static_cast<unsigned>(most)); };
    const double rate = std::array{1.0, 5.0, 25.0, 240.0, std::numeric_limits<double>::infinity()}[seed % 5];
    Film film({.shortest_scene = std::isfinite(rate) ? 0.1 * draw(10) : 0});
    std::array<Pixels, 4> noise;
    for (Pixels& pixels : noise)
      std::ranges::generate_n(std::back_inserter(pixels), kWidth * kHeight * 3,
                              [&] { return static_cast<std::uint8_t>(random()); });
    for (int part = 0; part < 20; ++part) {
      const int kind = draw(6), length = 1 + draw(40);
      for (int i = 0; i < length; ++i) {
        const Pixels* shown[] = {&pan[i], &pan[0], &black, &white, &noise[i % 4], &ramp[i]};
        film.show(*shown[kind], draw(4) / rate);
      }
    }
    EXPECT_LE(film.late(), 3 + 8 * 3 / rate) << seed;
    const std::vector<SceneChange> changes = film.end();
    for (std::size_t i = 0; i < changes.size(); ++i) {
      EXPECT_LT(changes[i].from, changes[i].to) << seed;
      EXPECT_LE(changes[i].from_seconds, changes[i].to_seconds) << seed;
      EXPECT_TRUE(changes[i].kind != ChangeKind::kCut || changes[i].to == changes[i].from + 1) << seed;
      EXPECT_TRUE(changes[i].score >= 0 && changes[i].score <= 1) << seed;
      EXPECT_TRUE(i == 0 || changes[i - 1].to <= changes[i].from) << seed;
    }
  }
}

// Bytes that the program holds now; 0 where another allocator than the system's counts them.
std::size_t held_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(SceneChanges, MemoryDoesNotGrowWithTheVideoNorItsRate) {
  std::vector<Pixels> frames;
  for (int i = 0; i < 150; ++i) frames.push_back(scene(1 + i / 50).at(i % 50 * 0.2));
  for (const auto& [rate, most] : {std::pair{25.0, 2'000'000}, std::pair{1000.0, 10'000'000}}) {
    const std::size_t before = held_bytes();
    Film film;
    for (int i = 0; i < 10000; ++i) film.show(frames[i % 150], 1 / rate);
    EXPECT_LT(held_bytes(), before + most) << rate;
  }
}

// Real footage, cut together: build/<preset>/video_clips/N.json has what make_clips.py did, N.rgb the small frames.
class Composed : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const std::string name = "video_clips/" + std::to_string(GetParam());
    truth_ = json_of(name + ".json");
    if (truth_.is_null()) GTEST_SKIP() << "no video_clips: ctest makes them (video_clips)";
    const std::string frames = bytes_of(name + ".rgb");
    constexpr std::size_t kSize = std::size_t{kWidth} * kHeight * 3;
    ASSERT_EQ(frames.size(), truth_["frames"].get<std::size_t>() * kSize);
    Film film;
    for (std::size_t at = 0; at < frames.size(); at += kSize)
      film.show(Pixels(frames.begin() + at, frames.begin() + at + kSize));
    found_ = film.end();
  }

  // Whether the middle of a change lies within what is known of one, or two frames beside it.
  static bool hits(const SceneChange& change, const nlohmann::json& known) {
    const auto middle = static_cast<double>(change.from + change.to) / 2;
    return middle >= known["from"].get<double>() - 2 && middle <= known["to"].get<double>() + 2;
  }
  // How many of a kind there are, and how many of them are found as such.
  std::pair<int, int> known_and_found(const std::string& name, ChangeKind kind) const {
    int known = 0, found = 0;
    for (const auto& change : truth_["changes"]) {
      if (change["kind"] != name) continue;
      ++known;
      found += std::ranges::any_of(found_, [&](const SceneChange& c) { return c.kind == kind && hits(c, change); });
    }
    return {known, found};
  }

  nlohmann::json truth_;
  std::vector<SceneChange> found_;
};

TEST_P(Composed, EveryCutAndFadeIsFoundAndMostDissolves) {
  const auto [cuts, cuts_found] = known_and_found("cut", ChangeKind::kCut);
  const auto [fades, fades_found] = known_and_found("fade", ChangeKind::kFade);
  const auto [dissolves, dissolves_found] = known_and_found("dissolve", ChangeKind::kDissolve);
  EXPECT_EQ(cuts_found, cuts);
  EXPECT_EQ(fades_found, fades);
  EXPECT_GE(dissolves_found * 4, dissolves * 3);
}

TEST_P(Composed, NothingElseIsFoundNotEvenInFlashesAndShakes) {
  EXPECT_GT(truth_["disturbances"].size(), 0);
  for (const SceneChange& change : found_)
    EXPECT_TRUE(std::ranges::any_of(truth_["changes"], [&](const auto& known) { return hits(change, known); }))
        << change.from << " to " << change.to;
}

INSTANTIATE_TEST_SUITE_P(SceneChanges, Composed, testing::Values(1, 2));

}  // namespace
}  // namespace image_engine::video
