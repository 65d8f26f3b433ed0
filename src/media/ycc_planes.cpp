#include "media/ycc_planes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <bit>

#include "core/cpu.h"

namespace image_engine::media {
namespace {

#define IE_INLINE [[gnu::always_inline]] inline

constexpr size_t kMaxFactor = 8;

// Columns are summed over a block of samples at a time, small enough to stay in the first cache.
constexpr size_t kColumnBlock = 1024;

template <unsigned kFx>
IE_INLINE void average_columns(const std::uint16_t* sums, size_t cells, unsigned rows, std::uint8_t* out) {
  const unsigned count = kFx * rows;
  const auto sum_of = [&](size_t cell) {
    unsigned sum = count / 2;
    for (unsigned k = 0; k < kFx; ++k) sum += sums[cell * kFx + k];
    return sum;
  };
  if (std::has_single_bit(count)) {
    const int shift = std::countr_zero(count);
    for (size_t cell = 0; cell < cells; ++cell)
      out[cell] = static_cast<std::uint8_t>(static_cast<std::uint16_t>(sum_of(cell)) >> shift);
    return;
  }
  // Division by multiplication: sums are at most 64 · 255, for which this rounding is exact.
  const std::uint32_t reciprocal = (1U << 20) / count + 1;
  for (size_t cell = 0; cell < cells; ++cell) out[cell] = static_cast<std::uint8_t>(sum_of(cell) * reciprocal >> 20);
}

IE_INLINE void average_columns_by(unsigned fx, const std::uint16_t* sums, size_t cells, unsigned rows,
                                  std::uint8_t* out) {
  switch (fx) {
    case 1:
      return average_columns<1>(sums, cells, rows, out);
    case 2:
      return average_columns<2>(sums, cells, rows, out);
    case 4:
      return average_columns<4>(sums, cells, rows, out);
    default:
      return average_columns<kMaxFactor>(sums, cells, rows, out);
  }
}

IE_INLINE void average(const std::uint8_t* const* rows, size_t row_count, size_t width, unsigned fx,
                       std::uint8_t* out) {
  std::array<std::uint16_t, kColumnBlock> sums;
  for (size_t left = 0; left < width; left += kColumnBlock) {
    const size_t columns = std::min(kColumnBlock, width - left);
    std::copy_n(rows[0] + left, columns, sums.data());
    for (size_t r = 1; r < row_count; ++r) {
      const std::uint8_t* row = rows[r] + left;
      for (size_t x = 0; x < columns; ++x) sums[x] = static_cast<std::uint16_t>(sums[x] + row[x]);
    }
    const size_t whole = columns / fx;
    average_columns_by(fx, sums.data(), whole, static_cast<unsigned>(row_count), out + left / fx);
    if (const size_t rest = columns - whole * fx; rest > 0) {
      unsigned sum = 0;
      for (size_t x = whole * fx; x < columns; ++x) sum += sums[x];
      const auto count = static_cast<unsigned>(rest * row_count);
      out[left / fx + whole] = static_cast<std::uint8_t>((sum + count / 2) / count);
    }
  }
}

// One pixel; 1.402, 0.344136, 0.714136, 1.772 times 2¹⁶.
IE_INLINE void convert(std::uint8_t y, std::uint8_t cb, std::uint8_t cr, std::uint8_t& red, std::uint8_t& green,
                       std::uint8_t& blue) {
  constexpr std::int32_t kHalf = 1 << 15;
  const auto clamp = [](std::int32_t value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); };
  const std::int32_t luma = y, b = cb - 128, r = cr - 128;
  red = clamp(luma + ((91881 * r + kHalf) >> 16));
  green = clamp(luma - ((22554 * b + 46802 * r + kHalf) >> 16));
  blue = clamp(luma + ((116130 * b + kHalf) >> 16));
}

using Average = void (*)(const std::uint8_t* const*, size_t, size_t, unsigned, std::uint8_t*);
using ToRgb = void (*)(const std::uint8_t*, const std::uint8_t*, const std::uint8_t*, std::uint8_t*, size_t);

void average_anywhere(const std::uint8_t* const* rows, size_t row_count, size_t width, unsigned fx, std::uint8_t* out) {
  average(rows, row_count, width, fx, out);
}
void to_rgb_anywhere(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr, std::uint8_t* rgb,
                     size_t count) {
  for (size_t i = 0; i < count; ++i) convert(y[i], cb[i], cr[i], rgb[i * 3], rgb[i * 3 + 1], rgb[i * 3 + 2]);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void average_avx2(const std::uint8_t* const* rows, size_t row_count, size_t width, unsigned fx,
                                          std::uint8_t* out) {
  average(rows, row_count, width, fx, out);
}

using SixteenLanes = __m256i;
constexpr size_t kGroup = 16;  // pixels that are converted and interleaved at once

// For each of three channels, and each 16 bytes of interleaved pixels: which sample goes where; 0x80: none.
constexpr auto kPlaces = [] {
  std::array<std::array<std::array<std::uint8_t, kGroup>, 3>, 3> places{};
  for (size_t channel = 0; channel < 3; ++channel)
    for (size_t byte = 0; byte < kGroup * 3; ++byte)
      places[channel][byte / kGroup][byte % kGroup] =
          byte % 3 == channel ? static_cast<std::uint8_t>(byte / 3) : std::uint8_t{0x80};
  return places;
}();

[[gnu::target("avx2")]] inline SixteenLanes widen(const std::uint8_t* samples) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(samples)));
}

// (lanes · factor + 2¹⁵) >> 16
[[gnu::target("avx2")]] inline SixteenLanes scaled(SixteenLanes lanes, std::int16_t factor) {
  const SixteenLanes factors = _mm256_set1_epi16(factor);
  return _mm256_add_epi16(_mm256_mulhi_epi16(lanes, factors),
                          _mm256_srli_epi16(_mm256_mullo_epi16(lanes, factors), 15));
}

// (b · 22554 − r · 18734 + 2¹⁵) >> 16
[[gnu::target("avx2")]] inline SixteenLanes scaled_green(SixteenLanes b, SixteenLanes r) {
  const SixteenLanes factors = _mm256_set1_epi32(static_cast<int>(22554U | static_cast<unsigned>(-18734) << 16));
  const SixteenLanes half = _mm256_set1_epi32(1 << 15);
  const auto of = [&](SixteenLanes pairs) __attribute__((target("avx2"))) {
    return _mm256_srai_epi32(_mm256_add_epi32(_mm256_madd_epi16(pairs, factors), half), 16);
  };
  return _mm256_packs_epi32(of(_mm256_unpacklo_epi16(b, r)), of(_mm256_unpackhi_epi16(b, r)));
}

[[gnu::target("avx2")]] inline __m128i to_bytes(SixteenLanes lanes) {
  return _mm_packus_epi16(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
}

// As convert(), whose factors are here what is left of them by whole multiples of 2¹⁶.
[[gnu::target("avx2")]] void to_rgb_avx2(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr,
                                         std::uint8_t* rgb, size_t count) {
  const SixteenLanes middle = _mm256_set1_epi16(128);
  size_t i = 0;
  for (; i + kGroup <= count; i += kGroup) {
    const SixteenLanes luma = widen(y + i);
    const SixteenLanes b = _mm256_sub_epi16(widen(cb + i), middle), r = _mm256_sub_epi16(widen(cr + i), middle);
    const SixteenLanes luma_and_r = _mm256_add_epi16(luma, r);
    const __m128i channels[] = {
        to_bytes(_mm256_add_epi16(luma_and_r, scaled(r, 26345))),
        to_bytes(_mm256_sub_epi16(_mm256_sub_epi16(luma, r), scaled_green(b, r))),
        to_bytes(_mm256_add_epi16(_mm256_add_epi16(luma, _mm256_add_epi16(b, b)), scaled(b, -14942)))};
    for (size_t part = 0; part < 3; ++part) {
      __m128i bytes = _mm_setzero_si128();
      for (size_t channel = 0; channel < 3; ++channel) {
        const auto* places = reinterpret_cast<const __m128i*>(kPlaces[channel][part].data());
        bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(channels[channel], _mm_loadu_si128(places)));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(rgb + i * 3 + part * kGroup), bytes);
    }
  }
  to_rgb_anywhere(y + i, cb + i, cr + i, rgb + i * 3, count - i);
}

const Average kAverage = cpu_uses(CpuLevel::kAvx2) ? average_avx2 : average_anywhere;
const ToRgb kToRgb = cpu_uses(CpuLevel::kAvx2) ? to_rgb_avx2 : to_rgb_anywhere;
#else
constexpr Average kAverage = average_anywhere;
constexpr ToRgb kToRgb = to_rgb_anywhere;
#endif

}  // namespace

void average_cells(const std::uint8_t* const* rows, size_t row_count, size_t width, unsigned fx, std::uint8_t* out) {
  kAverage(rows, row_count, width, fx, out);
}

void ycc_to_rgb(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr, std::uint8_t* rgb,
                size_t count) {
  kToRgb(y, cb, cr, rgb, count);
}

}  // namespace image_engine::media
