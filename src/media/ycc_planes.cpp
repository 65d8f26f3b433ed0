#include "media/ycc_planes.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/cpu.h"

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

namespace {

using Samples = std::uint8_t __attribute__((vector_size(16)));

// The part-th 16 bytes of 16 pixels: those of a and b first, then those of c in their gaps.
template <int kPart, int... kByte>
[[gnu::always_inline]] inline void write_part(const Samples& a, const Samples& b, const Samples& c, std::uint8_t* out,
                                              std::integer_sequence<int, kByte...> /*bytes*/) {
  constexpr auto pixel = [](int byte) { return (kPart * 16 + byte) / 3; };
  constexpr auto channel = [](int byte) { return (kPart * 16 + byte) % 3; };
  const Samples two = __builtin_shufflevector(a, b, (channel(kByte) == 1 ? 16 : 0) + pixel(kByte)...);
  const Samples all = __builtin_shufflevector(two, c, (channel(kByte) == 2 ? 16 + pixel(kByte) : kByte)...);
  std::memcpy(out + kPart * 16, &all, sizeof all);
}

[[gnu::always_inline]] inline void interleave_all(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                                                  std::uint8_t* out, size_t count) {
  constexpr auto bytes = std::make_integer_sequence<int, 16>{};
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    Samples x, y, z;
    std::memcpy(&x, a + i, sizeof x), std::memcpy(&y, b + i, sizeof y), std::memcpy(&z, c + i, sizeof z);
    write_part<0>(x, y, z, out + i * 3, bytes);
    write_part<1>(x, y, z, out + i * 3, bytes);
    write_part<2>(x, y, z, out + i * 3, bytes);
  }
  for (; i < count; ++i) out[i * 3] = a[i], out[i * 3 + 1] = b[i], out[i * 3 + 2] = c[i];
}

using Interleave = void (*)(const std::uint8_t*, const std::uint8_t*, const std::uint8_t*, std::uint8_t*, size_t);
void interleave_anywhere(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c, std::uint8_t* out,
                         size_t count) {
  interleave_all(a, b, c, out, count);
}
#if defined(__x86_64__)
[[gnu::target("avx2")]] void interleave_avx2(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c,
                                             std::uint8_t* out, size_t count) {
  interleave_all(a, b, c, out, count);
}
const Interleave kInterleave = cpu_uses(CpuLevel::kAvx2) ? interleave_avx2 : interleave_anywhere;
#else
constexpr Interleave kInterleave = interleave_anywhere;
#endif

}  // namespace

void interleave(const std::uint8_t* a, const std::uint8_t* b, const std::uint8_t* c, std::uint8_t* out, size_t count) {
  kInterleave(a, b, c, out, count);
}

void ycc_to_rgb(std::uint8_t* pixels, size_t count) {
  // 1.402, 0.344136, 0.714136, 1.772 times 2¹⁶.
  constexpr std::int32_t kHalf = 1 << 15;
  for (size_t i = 0; i < count; ++i) {
    std::uint8_t* const pixel = pixels + i * 3;
    const std::int32_t luma = pixel[0], b = pixel[1] - 128, r = pixel[2] - 128;
    pixel[0] = clamp(luma + ((91881 * r + kHalf) >> 16));
    pixel[1] = clamp(luma - ((22554 * b + 46802 * r + kHalf) >> 16));
    pixel[2] = clamp(luma + ((116130 * b + kHalf) >> 16));
  }
}

}  // namespace image_engine::media
