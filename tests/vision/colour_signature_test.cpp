#include "vision/colour_signature.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "types/image.h"

namespace image_engine::vision {
namespace {

using Rgb = std::array<std::uint8_t, 3>;

// 8 × 4 pixels, the left half of one colour, the right one of another.
ColourSignature halves(Rgb left, Rgb right) {
  std::vector<std::uint8_t> pixels;
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 8; ++x)
      for (const std::uint8_t value : x < 4 ? left : right) pixels.push_back(value);
  return colour_signature(ImageView{8, 4, pixels});
}

TEST(ColourSignature, IsJpegsMeanChromaOfEachPart) {
  // JFIF 1.02: red has Cb 84.97 and Cr 255.5 (clamped), white and grey 128 and 128.
  const ColourSignature signature = halves({255, 0, 0}, {200, 200, 200});
  for (std::size_t y = 0; y < 4; ++y)
    for (std::size_t x = 0; x < 4; ++x) {
      EXPECT_EQ(signature.chroma[(y * 4 + x) * 2], x < 2 ? -43 : 0);
      EXPECT_EQ(signature.chroma[(y * 4 + x) * 2 + 1], x < 2 ? 127 : 0);
    }
}

TEST(ColourSignature, ComparesHuesAndNotBrightness) {
  const ColourSignature warm = halves({180, 120, 60}, {60, 90, 60});
  EXPECT_TRUE(have_same_colours(warm, halves({200, 140, 80}, {80, 110, 80})));   // brighter
  EXPECT_TRUE(have_same_colours(warm, halves({144, 96, 48}, {48, 72, 48})));     // darker by a fifth
  EXPECT_FALSE(have_same_colours(warm, halves({60, 120, 180}, {60, 90, 60})));   // another hue on the left
  EXPECT_FALSE(have_same_colours(warm, halves({127, 127, 127}, {80, 80, 80})));  // greyscale
  EXPECT_FALSE(have_same_colours(warm, halves({200, 120, 40}, {90, 90, 30})));   // a tint
  const ColourSignature grey = halves({10, 10, 10}, {200, 200, 200});
  EXPECT_TRUE(have_same_colours(grey, halves({90, 90, 90}, {0, 0, 0})));
  EXPECT_FALSE(have_same_colours(grey, warm));
}

TEST(ColourSignature, OfNoPictureIsNone) {
  EXPECT_EQ(colour_signature(ImageView{}), ColourSignature{});
  const std::vector<std::uint8_t> few(5);
  EXPECT_EQ(colour_signature(ImageView{8, 4, few}), ColourSignature{});
  const std::vector<std::uint8_t> one = {255, 0, 0};  // has no four parts along an edge
  EXPECT_NO_FATAL_FAILURE((void)colour_signature(ImageView{1, 1, one}));
}

TEST(ColourSignature, HexIsReadBack) {
  const ColourSignature signature = halves({255, 0, 0}, {0, 0, 255});
  const std::string hex = to_hex(signature);
  EXPECT_EQ(hex.size(), 64U);
  EXPECT_EQ(hex.substr(0, 4), "d57f");  // −43, 127
  EXPECT_EQ(colours_from_hex(hex), signature);
  EXPECT_EQ(colours_from_hex(hex.substr(1)), std::nullopt);
  EXPECT_EQ(colours_from_hex(std::string(63, '0') + "g"), std::nullopt);
}

}  // namespace
}  // namespace image_engine::vision
