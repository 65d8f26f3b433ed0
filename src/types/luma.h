// Statistics of full-resolution luma, collected row by row while a picture is decoded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "types/host_device.h"
#include "types/metadata.h"

namespace image_engine {

// Of full-range BT.601 luma (JPEG's Y), 0…255. All zero if no row was added; all but the histogram zero if an edge is
// below 3 pixels.
struct LumaStatistics {
  std::uint32_t width = 0;
  std::uint32_t height = 0;                    // rows seen
  std::array<std::uint32_t, 256> histogram{};  // of every pixel
  // Variance of the Laplacian (0 1 0, 1 −4 1, 0 1 0), the focus measure of Pech-Pacheco et al. 2000: over the whole
  // picture, and the 95th percentile over tiles of about 64 × 64, so that a sharp subject with a blurred background
  // counts as sharp.
  double laplacian_variance = 0;
  double laplacian_variance_top = 0;
  // Standard deviation of white noise by Immerkær 1996, the 10th percentile over tiles that are neither nearly black
  // nor nearly white (over all tiles if there are no others), so that texture does not count as noise.
  double noise_sigma = 0;

  bool operator==(const LumaStatistics&) const = default;
};

// Sums over a cell of 64 × 64 pixels that have all their neighbours, as a GPU's kernel makes them; cells lie side by
// side from pixel (1, 1), those at the right and lower edge are smaller. Modulo 2³², which no true sum reaches;
// `laplacian` is signed.
struct LumaCell {
  static constexpr std::uint32_t kEdge = 64;
  std::uint32_t laplacian = 0, laplacian_squared = 0;
  std::uint32_t noise = 0, luma = 0;
};
// The number of cells along an edge of that many pixels.
IE_HOST_DEVICE constexpr std::uint32_t luma_cells_along(std::uint32_t edge) {
  return edge < 3 ? 0 : (edge - 2 + LumaCell::kEdge - 1) / LumaCell::kEdge;
}

// Adds the pixel at rows[1][1] of nine levels to its cell's sums.
IE_HOST_DEVICE inline void add_to_cell(LumaCell& cell, const int* above, const int* here, const int* below) {
  const int corners = above[0] + below[0] + above[2] + below[2];
  const int cross = above[1] + below[1] + here[0] + here[2];
  const int laplacian = cross - 4 * here[1], noise = corners - 2 * cross + 4 * here[1];
  cell.laplacian += static_cast<std::uint32_t>(laplacian);
  cell.laplacian_squared += static_cast<std::uint32_t>(laplacian * laplacian);
  cell.noise += static_cast<std::uint32_t>(noise < 0 ? -noise : noise);
  cell.luma += static_cast<std::uint32_t>(here[1]);
}

// What LumaAccumulator makes of the same pixels. `cells` has luma_cells_along(width) × luma_cells_along(height) of
// them, row by row. Thread-safe.
LumaStatistics luma_statistics(std::uint32_t width, std::uint32_t height,
                               const std::array<std::uint32_t, 256>& histogram, std::span<const LumaCell> cells);

// begin(), add_row() for each row from the top, finish(); then begin() again. Rows may be missing at the end (a
// truncated file). Memory: a few rows, 24 bytes per tile, and 256 KiB. One thread at a time. Throws only
// std::bad_alloc.
class LumaAccumulator {
 public:
  LumaAccumulator();
  ~LumaAccumulator();
  LumaAccumulator(LumaAccumulator&&) noexcept;
  LumaAccumulator& operator=(LumaAccumulator&&) noexcept;

  void begin(std::uint32_t width, std::uint32_t height);
  // One row of `width` samples, which are copied. Ignores rows of another length, and rows beyond `height`.
  void add_row(std::span<const std::uint8_t> luma);
  LumaStatistics finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Luma of interleaved full-range RGB as JPEG defines it: 0.299 R + 0.587 G + 0.114 B, rounded; for formats that decode
// to RGB. `luma` holds rgb.size() / 3 samples.
void rgb_to_luma(std::span<const std::uint8_t> rgb, std::span<std::uint8_t> luma);
// Of one pixel.
IE_HOST_DEVICE constexpr std::uint8_t luma_of(std::uint32_t red, std::uint32_t green, std::uint32_t blue) {
  return static_cast<std::uint8_t>((red * 19595U + green * 38470U + blue * 7471U + 32768U) >> 16U);
}

template <typename Archive>
void visit_fields(Archive& archive, Same<LumaStatistics> auto& s) {
  archive(s.width), archive(s.height);
  for (auto& count : s.histogram) archive(count);
  archive(s.laplacian_variance), archive(s.laplacian_variance_top), archive(s.noise_sigma);
}

}  // namespace image_engine
