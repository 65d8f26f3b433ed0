#include "vision/hashes.h"

#include <gtest/gtest.h>

#include <array>
#include <iostream>

#include "tests/vision/inputs.h"

namespace image_engine::vision {
namespace {

std::uint64_t expected(const nlohmann::json& hex) { return from_hex(hex.get<std::string>()).value(); }

TEST(Hashes, AreThoseOfImagehash) {
  NEED_INPUTS();
  ASSERT_GE(manifest()["hashes"].size(), 50U);
  for (const auto& entry : manifest()["hashes"]) {
    const Image image = read_picture(entry["file"]);
    const auto hashes = perceptual_hashes(view(image));
    EXPECT_EQ(to_hex(hashes.dhash), entry["dhash"].get<std::string>()) << entry["file"];
    EXPECT_EQ(to_hex(hashes.phash), entry["phash"].get<std::string>()) << entry["file"];
  }
}

TEST(Hashes, OfTheReducedPictureAreNearlyThoseOfTheWhole) {
  NEED_INPUTS();
  std::array<int, 65> dhash{}, phash{};
  for (const auto& entry : manifest()["hashes"]) {
    const auto hashes = perceptual_hashes(view(read_picture(entry["file"])));
    ++dhash[static_cast<size_t>(distance(hashes.dhash, expected(entry["full_dhash"])))];
    ++phash[static_cast<size_t>(distance(hashes.phash, expected(entry["full_phash"])))];
  }
  std::cout << "pictures by distance of the 640-px picture's hash from the whole one's:\n";
  for (size_t d = 0; d < 65; ++d)
    if (dhash[d] + phash[d] > 0)
      std::cout << "  " << d << " bits: dhash " << dhash[d] << ", phash " << phash[d] << '\n';
  for (size_t d = 7; d < 65; ++d) EXPECT_EQ(dhash[d] + phash[d], 0) << d << " bits";
}

TEST(Hashes, VariantsAreTheTurnedAndMirroredPicture) {
  NEED_INPUTS();
  int checked = 0;
  for (const auto& entry : manifest()["hashes"]) {
    if (!entry.contains("variants")) continue;
    const auto all = variants(view(read_picture(entry["file"])));
    for (size_t v = 0; v < all.size(); ++v) {
      EXPECT_EQ(to_hex(all[v].dhash), entry["variants"][v][0].get<std::string>()) << entry["file"] << " version " << v;
      EXPECT_EQ(to_hex(all[v].phash), entry["variants"][v][1].get<std::string>()) << entry["file"] << " version " << v;
    }
    ++checked;
  }
  EXPECT_GE(checked, 12);
}

TEST(Hashes, AQueryFindsTheTurnedPhoto) {
  NEED_INPUTS();
  const auto& entries = manifest()["hashes"];
  const auto upright = perceptual_hashes(view(read_picture(entries[0]["file"])));
  bool found = false;
  Image image = read_picture(entries[0]["file"]);
  Image turned{image.height, image.width, std::vector<std::uint8_t>(image.pixels.size())};
  for (size_t y = 0; y < image.height; ++y)
    for (size_t x = 0; x < image.width; ++x)
      for (size_t c = 0; c < 3; ++c)
        turned.pixels[(x * turned.width + turned.width - 1 - y) * 3 + c] = image.pixels[(y * image.width + x) * 3 + c];
  for (const auto& variant : variants(view(turned))) found = found || variant == upright;
  EXPECT_TRUE(found);
}

TEST(Hashes, OfNothingAndOfTooFewPixels) {
  EXPECT_EQ(perceptual_hashes(ImageView{}), PerceptualHashes{});
  const std::vector<std::uint8_t> few(10, 200);
  EXPECT_EQ(perceptual_hashes({100, 100, few}), PerceptualHashes{});
  EXPECT_EQ(perceptual_hashes({0xffffffff, 0xffffffff, few}), PerceptualHashes{});
  EXPECT_EQ(variants({3, 0, few})[7], PerceptualHashes{});
}

TEST(Hashes, HexGoesBothWays) {
  EXPECT_EQ(to_hex(0), "0000000000000000");
  EXPECT_EQ(to_hex(0x8f00ff00ff00ff01), "8f00ff00ff00ff01");
  EXPECT_EQ(from_hex("8f00ff00ff00ff01"), 0x8f00ff00ff00ff01U);
  EXPECT_EQ(from_hex("8F00FF00FF00FF01"), 0x8f00ff00ff00ff01U);
  for (const char* bad : {"", "0", "8f00ff00ff00ff0", "8f00ff00ff00ff011", "8f00ff00ff00ff0g", "-f00ff00ff00ff01",
                          "0x00ff00ff00ff01", " f00ff00ff00ff01"})
    EXPECT_FALSE(from_hex(bad)) << bad;
}

}  // namespace
}  // namespace image_engine::vision
