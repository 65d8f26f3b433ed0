#include "vision/drawings.h"

#include <gtest/gtest.h>

#include <random>

namespace image_engine::vision {
namespace {

constexpr std::uint32_t kDrawnWidth = 640, kDrawnHeight = 480;

// A flat ground with noise, as of a photo, in (x, y) to (x + edge, y + edge).
Image flat_with_noise(std::uint32_t left, std::uint32_t top, std::uint32_t edge) {
  Image picture{kDrawnWidth, kDrawnHeight, std::vector<std::uint8_t>(std::size_t{kDrawnWidth} * kDrawnHeight * 3, 120)};
  std::mt19937 random(1);
  for (std::uint32_t y = top; y < top + edge; ++y)
    for (std::uint32_t x = left * 3; x < (left + edge) * 3; ++x)
      picture.pixels[std::size_t{y} * kDrawnWidth * 3 + x] = static_cast<std::uint8_t>(random());
  return picture;
}

ImageView view(const Image& picture) { return {picture.width, picture.height, picture.pixels}; }

Box box(float x, float y, float width, float height) {
  return {x / kDrawnWidth, y / kDrawnHeight, width / kDrawnWidth, height / kDrawnHeight};
}

TEST(Drawings, APhotoOnAFlatGroundIsNotFlat) {
  const Image picture = flat_with_noise(320, 160, 64);
  ASSERT_TRUE(is_flat_drawing(view(picture)));
  const FlatMap map = flat_map(view(picture));
  EXPECT_FALSE(is_flat_at(map, box(320, 160, 64, 64)));
  EXPECT_FALSE(is_flat_at(map, box(330, 170, 20, 40)));
  EXPECT_TRUE(is_flat_at(map, box(0, 0, 640, 480)));
  EXPECT_TRUE(is_flat_at(map, box(100, 100, 64, 64)));
}

TEST(Drawings, BoxesMayReachOverTheEdges) {
  const Image picture = flat_with_noise(576, 416, 64);
  const FlatMap map = flat_map(view(picture));
  EXPECT_FALSE(is_flat_at(map, box(600, 440, 400, 400)));
  EXPECT_FALSE(is_flat_at(map, box(620, 460, 100, 100)));
  EXPECT_TRUE(is_flat_at(map, box(-300, -300, 400, 400)));
  EXPECT_TRUE(is_flat_at(flat_map({}), box(0, 0, 640, 480))) << "nothing is in it";
}

}  // namespace
}  // namespace image_engine::vision
