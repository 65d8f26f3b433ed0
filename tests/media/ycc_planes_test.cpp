#include "media/ycc_planes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace image_engine::media {
namespace {

using Samples = std::vector<std::uint8_t>;

Samples random_plane(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  Samples samples(count);
  for (auto& sample : samples) sample = static_cast<std::uint8_t>(random());
  return samples;
}

// Every pair of chroma samples, at lumas that the result is clipped at and at others; widths that vectors do not
// divide.
TEST(YccPlanes, BecomeRgbAsJfifDefinesIt) {
  Samples y, cb, cr;
  for (unsigned b = 0; b < 256; ++b)
    for (unsigned r = 0; r < 256; ++r)
      y.push_back(static_cast<std::uint8_t>(b * 7 + r * 13)), cb.push_back(static_cast<std::uint8_t>(b)),
          cr.push_back(static_cast<std::uint8_t>(r));
  for (const size_t count : {y.size(), y.size() - 17, size_t{63}, size_t{1}, size_t{0}}) {
    Samples rgb(count * 3 + 1, 7);
    ycc_to_rgb(y.data(), cb.data(), cr.data(), rgb.data(), count);
    EXPECT_EQ(rgb.back(), 7) << count;
    for (size_t i = 0; i < count; ++i) {
      const double luma = y[i], b = cb[i] - 128.0, r = cr[i] - 128.0;
      const double expected[] = {luma + 1.402 * r, luma - 0.344136 * b - 0.714136 * r, luma + 1.772 * b};
      for (size_t c = 0; c < 3; ++c)
        ASSERT_NEAR(rgb[i * 3 + c], std::clamp(expected[c], 0.0, 255.0), 0.503) << i << ' ' << c;
    }
  }
}

TEST(YccPlanes, CellsAreMeansRoundedHalfUp) {
  constexpr size_t kRows = 8;
  for (const unsigned fx : {1U, 2U, 4U, 8U})
    for (const size_t width : {size_t{1}, size_t{7}, size_t{64}, size_t{1027}, size_t{2500}})
      for (size_t row_count = 1; row_count <= kRows; ++row_count) {
        const Samples plane = random_plane(width * kRows, fx + static_cast<unsigned>(width));
        std::vector<const std::uint8_t*> rows;
        for (size_t r = 0; r < row_count; ++r) rows.push_back(plane.data() + r * width);
        const size_t cells = (width + fx - 1) / fx;
        Samples out(cells + 1, 7);
        average_cells(rows.data(), row_count, width, fx, out.data());
        EXPECT_EQ(out.back(), 7);
        for (size_t cell = 0; cell < cells; ++cell) {
          double sum = 0, count = 0;
          for (size_t x = cell * fx; x < std::min<size_t>(width, (cell + 1) * fx); ++x)
            for (size_t r = 0; r < row_count; ++r) sum += rows[r][x], ++count;
          ASSERT_EQ(out[cell], std::floor(sum / count + 0.5)) << fx << ' ' << width << ' ' << row_count << ' ' << cell;
        }
      }
}

}  // namespace
}  // namespace image_engine::media
