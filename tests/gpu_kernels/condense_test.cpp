#include "gpu/kernels/condense.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "media/media.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "vision/colour_signature.h"
#include "vision/drawings.h"
#include "vision/hashes.h"
#include "vision/quality.h"

namespace image_engine::gpu {
namespace {

void expect_the_cpus_numbers(const ImageView& picture, const std::string& name) {
  CondensedPicture condensed;
  condensed.rg = 99;  // is cleared
  const CondenseTask task{picture.pixels.data(), {picture.width, picture.height}, &condensed};
  ASSERT_TRUE(can_condense(task.size)) << name;
  ASSERT_OK(condense_on_host({&task, 1}));
  EXPECT_EQ(vision::perceptual_hashes(condensed), vision::perceptual_hashes(picture)) << name;
  EXPECT_EQ(vision::colour_signature(condensed), vision::colour_signature(picture)) << name;
  const LumaStatistics none;
  EXPECT_EQ(vision::measure_quality(none, condensed).colourfulness,
            vision::measure_quality(none, picture).colourfulness)
      << name;
  EXPECT_EQ(vision::is_flat_drawing(condensed), vision::is_flat_drawing(picture)) << name;
}

// As the header of flat_colours.h says, without its code.
FlatColours counted(const ImageView& picture) {
  FlatColours counts;
  const std::size_t distance = std::max<std::size_t>(1, (std::max(picture.width, picture.height) + 40) / 80);
  const auto add = [&](std::size_t x, std::size_t y, std::size_t u, std::size_t v) {
    if (u >= picture.width || v >= picture.height) return;
    const std::uint8_t* const a = picture.pixels.data() + (y * picture.width + x) * 3;
    const std::uint8_t* const b = picture.pixels.data() + (v * picture.width + u) * 3;
    const auto [least, most] = std::minmax({a[0], a[1], a[2], b[0], b[1], b[2]});
    if (most <= 3 || least >= 252) return;
    const int apart = std::max({std::abs(a[0] - b[0]), std::abs(a[1] - b[1]), std::abs(a[2] - b[2])});
    ++counts.compared, counts.same += apart == 0 ? 1U : 0U, counts.similar += apart > 0 && apart < 4 ? 1U : 0U;
  };
  for (std::size_t y = 0; y < picture.height; y += 3)
    for (std::size_t x = 0; x < picture.width; x += 3) add(x, y, x + distance, y), add(x, y, x, y + distance);
  return counts;
}

// vision's are compared with Pillow and imagehash by its own tests.
TEST(GpuCondense, HashesAndColoursOfAllSizesAreTheCpus) {
  std::mt19937 random(1);
  for (const auto& [width, height] :
       {std::pair{640, 480}, {480, 640}, {33, 33}, {66, 99}, {640, 41}, {641, 359}, {77, 100}, {1281, 721}, {99, 38}}) {
    std::vector<std::uint8_t> rgb(static_cast<std::size_t>(width) * height * 3);
    for (std::uint8_t& level : rgb) level = static_cast<std::uint8_t>(random());
    const ImageView noise{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), rgb};
    expect_the_cpus_numbers(noise, std::to_string(width) + " × " + std::to_string(height) + ", noise");
    for (std::size_t i = 0; i < rgb.size(); ++i) rgb[i] = i % 3 == 2 ? 0 : 255;  // the largest sums
    expect_the_cpus_numbers(noise, std::to_string(width) + " × " + std::to_string(height) + ", yellow");
  }
}

TEST(GpuCondense, HashesAndColoursOfPhotosAreTheCpus) {
  ASSERT_OK(media::init(1));
  const std::string folder = IE_SOURCE_DIR "/build/samples/photos/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no samples: make setup";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jpg" || ++count > 12) continue;
    const std::string bytes = bytes_of(entry.path().string());
    const auto decoded = media::decode(std::as_bytes(std::span(bytes)), {.max_edge = 640});
    ASSERT_OK(decoded);
    const Image& image = decoded->image;
    if (can_condense({image.width, image.height}))
      expect_the_cpus_numbers({image.width, image.height, image.pixels}, entry.path().filename().string());
  }
  EXPECT_GT(count, 0);
}

TEST(GpuCondense, CountsEqualColours) {
  std::mt19937 random(2);
  for (const auto& [width, height] : {std::pair{640, 480}, {67, 100}, {360, 640}}) {
    // Areas of one colour, with noise of few levels in a half of them.
    std::vector<std::uint8_t> rgb(static_cast<std::size_t>(width) * height * 3);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (int c = 0; c < 3; ++c)
          rgb[(static_cast<std::size_t>(y) * width + x) * 3 + c] =
              static_cast<std::uint8_t>(x / 50 % 6 * 50 + (y / 60 % 2 == 0 ? 0U : random() % 6));
    const ImageView picture{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), rgb};
    CondensedPicture condensed;
    const CondenseTask task{rgb.data(), {picture.width, picture.height}, &condensed};
    ASSERT_OK(condense_on_host({&task, 1}));
    EXPECT_EQ(condensed.flat, counted(picture)) << width;
    EXPECT_GT(condensed.flat.same, 0U);
    EXPECT_GT(condensed.flat.similar, 0U);
    EXPECT_LT(condensed.flat.compared, picture.pixels.size() / 27 * 2) << "pairs of black are not counted";
  }
}

// Pillow goes down before it goes across in very high pictures, and enlarges small ones.
TEST(GpuCondense, LeavesOtherSizesToTheCpu) {
  EXPECT_FALSE(can_condense({32, 100}));
  EXPECT_FALSE(can_condense({100, 32}));
  EXPECT_FALSE(can_condense({33, 67}));
  EXPECT_FALSE(can_condense({5000, 400}));
  EXPECT_FALSE(can_condense({}));
  CondensedPicture condensed;
  const CondenseTask task{condensed.for_phash.data(), {8, 8}, &condensed};
  EXPECT_FALSE(condense_on_host({&task, 1}));
}

}  // namespace
}  // namespace image_engine::gpu
