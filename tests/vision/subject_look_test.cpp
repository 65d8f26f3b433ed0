#include "vision/subject_look.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "vision/hashes.h"

namespace image_engine::vision {
namespace {

struct Scene {
  Image picture;
  Mask mask;
  [[nodiscard]] ImageView view() const { return {picture.width, picture.height, picture.pixels}; }
};

struct Placing {
  double x = 160, y = 120, radius = 60;  // of an ellipse half as high again as wide
  int background = 0;                    // 0: grey, 1: stripes, 2: a gradient
  int subject = 0;                       // which pattern it has
};

// A patterned ellipse of 320 × 240 pixels' picture, whose pattern is placed by its own size.
Scene scene(const Placing& at) {
  constexpr std::uint32_t kWidth = 320, kHeight = 240;
  Scene made{{kWidth, kHeight, {}}, {kWidth, kHeight, {}}};
  for (std::uint32_t y = 0; y < kHeight; ++y)
    for (std::uint32_t x = 0; x < kWidth; ++x) {
      const double u = (x + 0.5 - at.x) / at.radius, v = (y + 0.5 - at.y) / (1.5 * at.radius);
      const bool inside = u * u + v * v <= 1;
      made.mask.pixels.push_back(inside ? 255 : 0);
      const double wave = at.subject == 0 ? std::sin(4 * u + 1) * std::cos(3 * v) : std::cos(5 * v - 1) * std::sin(u);
      const double subject[] = {130 + 90 * wave, at.subject == 0 ? 90.0 : 130 + 60 * wave, 120 - 80 * wave};
      const double backgrounds[] = {128.0, x / 20 % 2 == 0 ? 30.0 : 220.0, 255.0 * y / kHeight};
      for (const double level : subject)
        made.picture.pixels.push_back(static_cast<std::uint8_t>(inside ? level : backgrounds[at.background]));
    }
  return made;
}

SubjectLook look_of(const Placing& at) {
  const Scene made = scene(at);
  const auto look = subject_look(made.view(), made.mask);
  EXPECT_TRUE(look.has_value());
  return look.value_or(SubjectLook{});
}

TEST(SubjectLook, DependsNeitherOnTheBackgroundNorOnThePlace) {
  const SubjectLook first = look_of({});
  for (const Placing& at :
       {Placing{.background = 1}, Placing{.background = 2}, Placing{.x = 90, .y = 140, .background = 1},
        Placing{.x = 200, .radius = 75, .background = 2}, Placing{.radius = 40, .background = 1}}) {
    const SubjectLook look = look_of(at);
    EXPECT_LE(distance(first.phash, look.phash), 4) << at.x << " " << at.radius << " " << at.background;
    EXPECT_TRUE(are_looks_of_one(first, look) && are_looks_of_one(look, first));
  }
}

TEST(SubjectLook, AnotherSubjectOnTheSameBackgroundIsAnother) {
  for (const int background : {0, 1, 2}) {
    const SubjectLook one = look_of({.background = background}),
                      other = look_of({.background = background, .subject = 1});
    EXPECT_GT(distance(one.phash, other.phash), kSameSubjectDistance);
    EXPECT_FALSE(are_looks_of_one(one, other)) << "colours";
  }
}

TEST(SubjectLook, SeesShapeAndProportions) {
  const SubjectLook look = look_of({});
  // The window reaches 2 standard deviations, half an ellipse's axes, from the centre: all of it is the ellipse.
  const auto bit = [&](std::size_t x, std::size_t y) { return (look.shape[(y * 16 + x) / 8] >> (7 - x % 8) & 1) != 0; };
  EXPECT_TRUE(bit(8, 8) && bit(0, 8) && bit(15, 8) && bit(8, 0) && bit(8, 15));
  EXPECT_FALSE(bit(0, 0) || bit(15, 15) || bit(0, 15) || bit(15, 0));
  EXPECT_NEAR(look.aspect, 128 + 32 * std::log2(1 / 1.5), 1.5);
  SubjectLook wider = look, hole = look;
  wider.aspect = static_cast<std::uint8_t>(wider.aspect + 9);
  EXPECT_FALSE(are_looks_of_one(look, wider));
  for (std::size_t i = 12; i < 20; ++i) hole.shape[i] = 0;
  EXPECT_FALSE(are_looks_of_one(look, hole));
}

TEST(SubjectLook, TheMaskMayHaveAnotherSize) {
  Scene made = scene({});
  const SubjectLook whole = *subject_look(made.view(), made.mask);
  const auto small = subject_look(made.view(), reduced(made.mask, 80, 80));
  ASSERT_TRUE(small.has_value());
  EXPECT_LE(distance(whole.phash, small->phash), 6);
  EXPECT_TRUE(are_looks_of_one(whole, *small));
}

TEST(SubjectLook, NothingIsToldWithoutPixelsOrContrast) {
  Scene made = scene({});
  EXPECT_FALSE(subject_look({}, made.mask).has_value());
  EXPECT_FALSE(subject_look(made.view(), {}).has_value());
  EXPECT_FALSE(subject_look(made.view(), {2, 2, {0, 0, 0, 0}}).has_value());
  const Scene tiny = scene({.radius = 6});
  EXPECT_FALSE(subject_look(tiny.view(), tiny.mask).has_value());
  std::ranges::fill(made.picture.pixels, std::uint8_t{77});
  EXPECT_FALSE(subject_look(made.view(), made.mask).has_value());
  made.picture.pixels.pop_back();
  EXPECT_FALSE(subject_look(made.view(), made.mask).has_value()) << "an incomplete picture";
}

TEST(SubjectLook, BytesAreReadAgain) {
  const SubjectLook look = look_of({.background = 1});
  const std::string bytes = to_bytes(look);
  EXPECT_EQ(bytes.size(), 73U);
  EXPECT_EQ(look_of_bytes(bytes), look);
  EXPECT_EQ(static_cast<std::uint8_t>(bytes[0]), look.phash >> 56) << "the most significant byte first";
  EXPECT_FALSE(look_of_bytes(bytes.substr(1)).has_value());
  EXPECT_FALSE(look_of_bytes("").has_value());
}

}  // namespace
}  // namespace image_engine::vision
