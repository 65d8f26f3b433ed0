#include "types/image.h"

#include <gtest/gtest.h>

namespace image_engine {
namespace {

TEST(Image, CropIsAPartOfIt) {
  Image picture{4, 3, {}};
  for (std::uint8_t y = 0; y < 3; ++y)
    for (std::uint8_t x = 0; x < 4; ++x) picture.pixels.insert(picture.pixels.end(), {x, y, 9});
  const ImageView view{picture.width, picture.height, picture.pixels};
  const Image part = crop(view, 1, 1, 2, 2);
  EXPECT_EQ(part.width, 2U);
  EXPECT_EQ(part.height, 2U);
  EXPECT_EQ(part.pixels, (std::vector<std::uint8_t>{1, 1, 9, 2, 1, 9, 1, 2, 9, 2, 2, 9}));
  EXPECT_EQ(crop(view, 0, 0, 4, 3).pixels, picture.pixels);
  EXPECT_EQ(crop(view, 3, 2, 1, 1).pixels, (std::vector<std::uint8_t>{3, 2, 9}));
}

}  // namespace
}  // namespace image_engine
