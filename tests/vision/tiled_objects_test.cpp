// Objects that several tiles of a panorama have.
#include "vision/tiled_objects.h"

#include <gtest/gtest.h>

namespace image_engine::vision {
namespace {

TileObject found(std::size_t tile, Box box, bool is_cut = false, float confidence = 0.8F, std::uint32_t label = 0) {
  return {{label, confidence, box}, tile, is_cut};
}

TEST(TiledObjects, OneBoxOfAnObjectInTheOverlap) {
  const auto objects = merged({found(1, {100, 0, 40, 80}, false, 0.7F), found(2, {101, 1, 40, 79}, false, 0.9F)});
  ASSERT_EQ(objects.size(), 1U);
  EXPECT_FLOAT_EQ(objects[0].confidence, 0.9F);
}

TEST(TiledObjects, APartGivesWayToTheWhole) {
  const auto objects = merged({found(1, {100, 0, 15, 80}, true, 0.9F), found(2, {100, 0, 40, 80}, false, 0.6F)});
  ASSERT_EQ(objects.size(), 1U);
  EXPECT_FLOAT_EQ(objects[0].box.width, 40);
}

TEST(TiledObjects, HalvesAreJoined) {
  const auto objects = merged({found(1, {60, 10, 60, 80}, true), found(2, {90, 12, 70, 78}, true)});
  ASSERT_EQ(objects.size(), 1U);
  EXPECT_EQ(objects[0].box, (Box{60, 10, 100, 80}));
}

TEST(TiledObjects, OthersStay) {
  EXPECT_EQ(merged({found(1, {0, 0, 40, 80}), found(1, {10, 0, 40, 80})}).size(), 2U) << "one look tells them apart";
  EXPECT_EQ(merged({found(1, {0, 0, 40, 80}), found(2, {0, 0, 40, 80}, false, 0.8F, 1)}).size(), 2U) << "other names";
  EXPECT_EQ(merged({found(1, {0, 0, 40, 80}, true), found(2, {60, 0, 40, 80}, true)}).size(), 2U) << "apart";
}

TEST(TiledObjects, OnlyPanoramasNeedTiles) {
  EXPECT_FALSE(needs_tiles(4000, 3000));
  EXPECT_FALSE(needs_tiles(1920, 800));
  EXPECT_TRUE(needs_tiles(8000, 1000));
  EXPECT_TRUE(needs_tiles(1000, 2500));
  EXPECT_FALSE(needs_tiles(0, 0));
}

}  // namespace
}  // namespace image_engine::vision
