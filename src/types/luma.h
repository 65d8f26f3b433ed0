// Statistics of full-resolution luma, collected row by row while a picture is decoded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

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
  // Mean of gx² + gy² by the Sobel operator (Tenenbaum 1970).
  double gradient_energy = 0;
  // Standard deviation of white noise by Immerkær 1996, the 10th percentile over tiles that are neither nearly black
  // nor nearly white (over all tiles if there are no others), so that texture does not count as noise.
  double noise_sigma = 0;

  bool operator==(const LumaStatistics&) const = default;
};

// begin(), add_row() for each row from the top, finish(); then begin() again. Rows may be missing at the end (a
// truncated file). Memory: a few rows and 24 bytes per tile. One thread at a time. Throws only std::bad_alloc.
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

template <typename Archive>
void visit_fields(Archive& archive, Same<LumaStatistics> auto& s) {
  archive(s.width), archive(s.height);
  for (auto& count : s.histogram) archive(count);
  archive(s.laplacian_variance), archive(s.laplacian_variance_top), archive(s.gradient_energy);
  archive(s.noise_sigma);
}

}  // namespace image_engine
