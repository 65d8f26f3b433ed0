#include "media/ycc_planes.h"

#include <algorithm>
#include <array>

namespace image_engine::media {
namespace {

constexpr size_t kMaxFactor = 8;

// Columns are summed over a block of samples at a time, small enough to stay in the first cache.
constexpr size_t kColumnBlock = 1024;

template <unsigned kFx>
void average_columns(const std::uint16_t* sums, size_t cells, unsigned rows, std::uint8_t* out) {
  const unsigned count = kFx * rows;
  // Division by multiplication: sums are at most 64 · 255, for which this rounding is exact.
  const std::uint32_t reciprocal = (1U << 20) / count + 1;
  for (size_t cell = 0; cell < cells; ++cell) {
    std::uint32_t sum = count / 2;
    for (unsigned k = 0; k < kFx; ++k) sum += sums[cell * kFx + k];
    out[cell] = static_cast<std::uint8_t>(sum * reciprocal >> 20);
  }
}

using AverageColumns = void (*)(const std::uint16_t*, size_t, unsigned, std::uint8_t*);
constexpr std::array<AverageColumns, kMaxFactor + 1> kAverage = {
    nullptr, average_columns<1>, average_columns<2>, nullptr, average_columns<4>, nullptr, nullptr,
    nullptr, average_columns<8>};

std::uint8_t clamp(std::int32_t value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); }

}  // namespace

void average_cells(const std::uint8_t* const* rows, size_t row_count, size_t width, unsigned fx, std::uint8_t* out) {
  std::array<std::uint16_t, kColumnBlock> sums;
  for (size_t left = 0; left < width; left += kColumnBlock) {
    const size_t columns = std::min(kColumnBlock, width - left);
    std::copy_n(rows[0] + left, columns, sums.data());
    for (size_t r = 1; r < row_count; ++r) {
      const std::uint8_t* row = rows[r] + left;
      for (size_t x = 0; x < columns; ++x) sums[x] = static_cast<std::uint16_t>(sums[x] + row[x]);
    }
    const size_t whole = columns / fx;
    kAverage[fx](sums.data(), whole, static_cast<unsigned>(row_count), out + left / fx);
    if (const size_t rest = columns - whole * fx; rest > 0) {
      unsigned sum = 0;
      for (size_t x = whole * fx; x < columns; ++x) sum += sums[x];
      const auto count = static_cast<unsigned>(rest * row_count);
      out[left / fx + whole] = static_cast<std::uint8_t>((sum + count / 2) / count);
    }
  }
}

void ycc_to_rgb(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr, std::uint8_t* rgb,
                size_t count) {
  // 1.402, 0.344136, 0.714136, 1.772 times 2¹⁶.
  constexpr std::int32_t kHalf = 1 << 15;
  for (size_t i = 0; i < count; ++i) {
    const std::int32_t luma = y[i], b = cb[i] - 128, r = cr[i] - 128;
    rgb[i * 3] = clamp(luma + ((91881 * r + kHalf) >> 16));
    rgb[i * 3 + 1] = clamp(luma - ((22554 * b + 46802 * r + kHalf) >> 16));
    rgb[i * 3 + 2] = clamp(luma + ((116130 * b + kHalf) >> 16));
  }
}

}  // namespace image_engine::media
