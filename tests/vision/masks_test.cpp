#include "vision/masks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string_view>

namespace image_engine::vision {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

template <typename Inside>
Mask mask_where(std::uint32_t width, std::uint32_t height, Inside inside) {
  Mask mask{.width = width, .height = height, .pixels = {}};
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x) mask.pixels.push_back(inside(x, y) ? 255 : 0);
  return mask;
}

// '#' is inside.
Mask drawn(std::uint32_t width, std::string_view picture) {
  return mask_where(width, static_cast<std::uint32_t>(picture.size() / width),
                    [&](std::uint32_t x, std::uint32_t y) { return picture[size_t{y} * width + x] == '#'; });
}

TEST(Masks, RunLengthsGoDownTheColumns) {
  EXPECT_THAT(run_lengths(drawn(3,
                                ".#."
                                "##.")),
              ElementsAre(1, 3, 2));
  EXPECT_THAT(run_lengths(drawn(2,
                                "#."
                                ".#")),
              ElementsAre(0, 1, 2, 1));
  EXPECT_THAT(run_lengths({}), IsEmpty());
}

TEST(Masks, PartsTouchByASideOrACorner) {
  const auto parts = connected_parts(drawn(6,
                                           "#....#"
                                           ".#..##"
                                           "#....."
                                           "...#.."),
                                     1);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0].area, 3U);
  EXPECT_EQ(parts[0].left, 0U);
  EXPECT_EQ(parts[0].top, 0U);
  EXPECT_EQ(parts[0].mask.width, 2U);
  EXPECT_EQ(parts[0].mask.height, 3U);
  EXPECT_THAT(parts[0].mask.pixels, ElementsAre(255, 0, 0, 255, 255, 0));
  EXPECT_EQ(parts[1].area, 3U);
  EXPECT_EQ(parts[1].left, 4U);
  EXPECT_THAT(parts[1].mask.pixels, ElementsAre(0, 255, 255, 255));
  EXPECT_EQ(parts[2].left, 3U);
  EXPECT_EQ(parts[2].top, 3U);
}

TEST(Masks, PartsBelowTheLeastAreaAreLeftOut) {
  const Mask mask = drawn(5, "#.###");
  const auto parts = connected_parts(mask, 2);
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].left, 2U);
  EXPECT_THAT(connected_parts(mask, 4), IsEmpty());
  EXPECT_THAT(connected_parts({}, 1), IsEmpty());
}

// The texts were made by pycocotools 2.
TEST(Masks, CountsAreThoseOfCocosTools) {
  const auto counts = [](const Mask& mask) { return coco_counts(run_lengths(mask)); };
  EXPECT_EQ(counts(mask_where(9, 7, [](auto x, auto y) { return (x * 7 + y * 13) % 11 < 4; })),
            "024ON11O01O01O01OO21M060K010");
  EXPECT_EQ(counts(mask_where(300, 100, [](auto, auto) { return true; })), "0`Ym0");
  EXPECT_EQ(counts(mask_where(300, 100, [](auto, auto) { return false; })), "`Ym0");
  EXPECT_EQ(counts(mask_where(4000, 3000, [](auto x, auto) { return x >= 1234; })), "`Wo`3``Wm7");
  const Mask disc = mask_where(600, 400, [](std::int64_t x, std::int64_t y) {
    return (x - 300) * (x - 300) + (y - 200) * (y - 200) <= 100 * 100;
  });
  EXPECT_EQ(counts(disc),
            "XZ^21Q<l0]O:F:"
            "G8I6J6K4K6K4L4L4L4L4L4M2M4M2M4M2M4M2N2N2N2M4M2N2N2N2N2N2N2N2N2O0O2N2N2N2N2O0O2N2O0O2N2O0O2N2O0O2O0O"
            "2O0O2O0O2O0O2O0O2O000O2O0O2O000O2O000O2O00000O2O0000000O2O0000000O2O0000000000000000000000000O20N100000000"
            "000000000"
            "000000001N100000001N100000001N1000001N10001N10001N101N10001N101N101N101N101N101N101N2N101N2N101N2N101N2N2N"
            "2N2N101N"
            "2N2N2N2N2N2N2N2N3L3N2N2N2N3L3N3L3N3L3N3L4L4L4L4L4L5J5L5J6J7H9F:Fc0TOfa]2");
}

TEST(Masks, CountsAreReadAgain) {
  const Mask odd = mask_where(9, 7, [](auto x, auto y) { return (x * 7 + y * 13) % 11 < 4; });
  const auto read = mask_of_counts(9, 7, "024ON11O01O01O01OO21M060K010");  // by pycocotools
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->pixels, odd.pixels);
  EXPECT_EQ(mask_of_counts(300, 100, "0`Ym0")->pixels, std::vector<std::uint8_t>(30000, 255));
  EXPECT_EQ(mask_of_counts(300, 100, "`Ym0")->pixels, std::vector<std::uint8_t>(30000, 0));
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    const Mask noise = mask_where(
        61, 37, [&](std::uint32_t x, std::uint32_t y) { return (x * 2654435761U + y * 40503U * seed) >> 13 & 1U; });
    EXPECT_EQ(mask_of_counts(61, 37, coco_counts(run_lengths(noise)))->pixels, noise.pixels);
  }
}

TEST(Masks, TextThatIsNoCountsIsRefused) {
  // Too few, too many, a length that does not end, characters that are none, negative, and absurd sizes.
  for (const char* text : {"", "`Ym", "0`Ym01", "1`Ym0", "o", "oooooooooooooooooooo", "\x7f", " ", "O", "0O1"})
    EXPECT_FALSE(mask_of_counts(300, 100, text).has_value()) << text;
  EXPECT_FALSE(mask_of_counts(0, 0, "").has_value());
  EXPECT_FALSE(mask_of_counts(1U << 31, 1U << 31, "0").has_value());
}

TEST(Masks, AreReducedByArea) {
  const Mask mask = drawn(4,
                          "##.."
                          "##.#"
                          "#..."
                          ".#..");
  EXPECT_THAT(reduced(mask, 2, 2).pixels, ElementsAre(255, 0, 255, 0));
  EXPECT_THAT(reduced(mask, 1, 1).pixels, ElementsAre(0));
  EXPECT_THAT(reduced(drawn(3, "##."), 2, 1).pixels, ElementsAre(255, 255)) << "one column, then two";
  EXPECT_EQ(reduced(mask, 4, 4).pixels, mask.pixels);
}

}  // namespace
}  // namespace image_engine::vision
