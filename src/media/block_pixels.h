// 8 × 8 coefficients to samples: all of them, or the means of each two by two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "media/jpeg_scan.h"

namespace image_engine::media {

// The inverse of a component's quantization and cosine transform (ITU-T T.81, A.3.3). Thread-safe.
class BlockTransform {
 public:
  // The quantizers of 64 coefficients, row by row.
  explicit BlockTransform(std::span<const std::uint16_t, 64> quantizers);

  // 8 rows of 8 samples, each `stride` bytes behind the one before.
  void write_all(const CoefficientBlock& block, std::uint8_t* out, std::size_t stride) const;
  // 4 rows of 4: each the mean of two by two of those samples, up to rounding.
  void write_means(const CoefficientBlock& block, std::uint8_t* out, std::size_t stride) const;

 private:
  [[nodiscard]] std::uint8_t level(const CoefficientBlock& block) const;

  alignas(32) std::array<float, 64> for_all_{}, for_means_{};
};

}  // namespace image_engine::media
