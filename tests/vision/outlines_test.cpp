#include "vision/outlines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <string_view>

namespace image_engine::vision {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// '#' is inside.
Mask of_characters(std::uint32_t width, std::string_view picture) {
  Mask mask{.width = width, .height = static_cast<std::uint32_t>(picture.size() / width), .pixels = {}};
  for (const char character : picture) mask.pixels.push_back(character == '#' ? 255 : 0);
  return mask;
}

TEST(Outlines, GoClockwiseAroundPixels) {
  EXPECT_THAT(outlines(of_characters(4,
                                     "...."
                                     ".##."
                                     "...."),
                       0),
              ElementsAre(ElementsAre(3, 1, 3, 2, 1, 2, 1, 1)));
  EXPECT_THAT(outlines(of_characters(2,
                                     "##"
                                     "#."),
                       0),
              ElementsAre(ElementsAre(2, 0, 2, 1, 1, 1, 1, 2, 0, 2, 0, 0)));
  EXPECT_THAT(outlines(of_characters(2, "...."), 0), IsEmpty());
  EXPECT_THAT(outlines({}, 0), IsEmpty());
}

TEST(Outlines, PixelsThatTouchByACornerAreOnePartAndHolesAreLeftOut) {
  EXPECT_THAT(outlines(of_characters(2,
                                     "#."
                                     ".#"),
                       0),
              ElementsAre(ElementsAre(1, 0, 1, 1, 2, 1, 2, 2, 1, 2, 1, 1, 0, 1, 0, 0)));
  EXPECT_THAT(outlines(of_characters(3,
                                     "###"
                                     "#.#"
                                     "###"),
                       0),
              ElementsAre(ElementsAre(3, 0, 3, 3, 0, 3, 0, 0)));
  EXPECT_THAT(outlines(of_characters(5,
                                     "#..##"
                                     "...##"),
                       0),
              ElementsAre(ElementsAre(5, 0, 5, 2, 3, 2, 3, 0), ElementsAre(1, 0, 1, 1, 0, 1, 0, 0)));
}

// Of a disc: within the tolerance of the circle and the pixels' own corners, and with few points.
TEST(Outlines, KeepWithinTheTolerance) {
  constexpr double kRadius = 80, kMiddle = 100;
  Mask mask{.width = 200, .height = 200, .pixels = {}};
  for (std::uint32_t y = 0; y < 200; ++y)
    for (std::uint32_t x = 0; x < 200; ++x)
      mask.pixels.push_back(std::hypot(x + 0.5 - kMiddle, y + 0.5 - kMiddle) <= kRadius ? 1 : 0);
  const std::vector<Polygon> found = outlines(mask, 1);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_LE(found[0].size(), 2 * 64U);  // of some 500 corners
  double doubled_area = 0;
  for (std::size_t i = 0; i < found[0].size(); i += 2) {
    const std::size_t next = (i + 2) % found[0].size();
    EXPECT_NEAR(std::hypot(found[0][i] - kMiddle, found[0][i + 1] - kMiddle), kRadius, 1.5);
    doubled_area += found[0][i] * found[0][next + 1] - found[0][next] * found[0][i + 1];
  }
  EXPECT_NEAR(doubled_area / 2, M_PI * kRadius * kRadius, 0.01 * M_PI * kRadius * kRadius);
  EXPECT_EQ(outlines({.width = 1, .height = 3, .pixels = {0, 1, 0}}, 5)[0].size(), 8U);  // smaller than the tolerance
}

}  // namespace
}  // namespace image_engine::vision
