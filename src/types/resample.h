// Resampling of picture rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "types/taps.h"

namespace image_engine {

// kPortable is for tests: the same numbers without the CPU's vector instructions.
enum class Speed : std::uint8_t { kFastest, kPortable };

// Weights as integer multiples of 1 / 2^precision; each output's sum to exactly 2^precision, so that a flat picture is
// unchanged.
struct FixedTaps {
  std::vector<std::uint32_t> first, count;
  std::vector<std::int16_t> weights;  // padded with zeros to a stride that is a multiple of 4
  std::uint32_t stride = 0;
  int precision = 0;
  explicit FixedTaps(const Taps& taps);
};

// Resamples RGB rows horizontally as they arrive, then vertically, with 8 bits between the passes: as Pillow's
// Image.resize, except for the last bits of the weights. Memory: as many output rows as `down` has taps. One thread at
// a time.
class ResampledRows {
 public:
  static constexpr std::size_t kPadding = 16;  // bytes after a row's pixels that take() may read

  ResampledRows(const Taps& across, const Taps& down, Speed speed = Speed::kFastest);

  // Takes row y of the input; kept until the row as many later as `down` has taps.
  void take(std::uint32_t y, const std::uint8_t* row);
  // Output row y needs the input rows first(y) ≤ row < end(y); both are non-decreasing.
  [[nodiscard]] std::uint32_t first(std::uint32_t y) const { return down_.first[y]; }
  [[nodiscard]] std::uint32_t end(std::uint32_t y) const { return down_.first[y] + down_.count[y]; }
  // Output row y; none of its input rows may have been overwritten. Valid until the next call.
  std::span<const std::uint8_t> make(std::uint32_t y);

 private:
  std::uint8_t* in_ring(std::uint32_t y) { return ring_.data() + y % down_.stride * row_bytes_; }

  Speed speed_;
  FixedTaps across_, down_;
  std::size_t row_bytes_;           // of an output row, padded for the loops
  std::vector<std::uint8_t> ring_;  // row y of the input, reduced across, at y modulo the stride
  std::vector<const std::uint8_t*> rows_;
  std::vector<std::uint8_t> out_;
};

}  // namespace image_engine
