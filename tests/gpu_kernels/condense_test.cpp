#include "gpu/kernels/condense.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "media/media.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "vision/colour_signature.h"
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
