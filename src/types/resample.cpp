#include "types/resample.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/cpu.h"
#include "types/tap_weights.h"

namespace image_engine {
namespace {

constexpr std::size_t kTapGroup = 4;   // taps per step of the horizontal kernel
constexpr std::size_t kRowBlock = 32;  // bytes per step of the vertical kernel
constexpr std::size_t kSpareBytes = 5;

// `row` is readable for ResampledRows::kPadding bytes after its pixels, `out` is writable for kSpareBytes after its
// own.
void across_portable(const FixedTaps& taps, const std::uint8_t* row, std::uint8_t* out) {
  for (std::size_t x = 0; x < taps.first.size(); ++x) {
    const std::int16_t* weight = taps.weights.data() + x * taps.stride;
    const std::uint8_t* pixel = row + std::size_t{taps.first[x]} * 3;
    std::array<std::int32_t, 3> sum{};
    for (std::size_t k = 0; k < taps.count[x]; ++k)
      for (std::size_t c = 0; c < 3; ++c) sum[c] += weight[k] * pixel[k * 3 + c];
    for (std::size_t c = 0; c < 3; ++c) out[x * 3 + c] = sample_of(sum[c], taps.precision);
  }
}

// Output row y of `taps` from its `rows`; `bytes` is a multiple of kRowBlock.
void down_portable(const FixedTaps& taps, std::size_t y, const std::uint8_t* const* rows, std::size_t bytes,
                   std::uint8_t* out) {
  const std::int16_t* weights = taps.weights.data() + y * taps.stride;
  for (std::size_t left = 0; left < bytes; left += kRowBlock) {
    std::array<std::int32_t, kRowBlock> sums{};
    for (std::size_t k = 0; k < taps.count[y]; ++k)
      for (std::size_t i = 0; i < kRowBlock; ++i) sums[i] += weights[k] * rows[k][left + i];
    for (std::size_t i = 0; i < kRowBlock; ++i) out[left + i] = sample_of(sums[i], taps.precision);
  }
}

struct ResampleLoops {
  void (*across)(const FixedTaps& taps, const std::uint8_t* row, std::uint8_t* out);
  void (*down)(const FixedTaps& taps, std::size_t y, const std::uint8_t* const* rows, std::size_t bytes,
               std::uint8_t* out);
};
constexpr ResampleLoops kPortable{across_portable, down_portable};

#if defined(__x86_64__)
#define IE_AVX2 gnu::target("avx2")

// Four taps at once, each channel's in pairs of pixels: (r0 r1)(r2 r3)(g0 g1)(g2 g3) in the low half, (b0 b1)(b2 b3) in
// the high one.
[[IE_AVX2]] inline __m256i weigh_four(const std::uint8_t* pixels, const std::int16_t* weights) {
  const __m256i pairs = _mm256_setr_epi8(0, -1, 3, -1, 6, -1, 9, -1, 1, -1, 4, -1, 7, -1, 10, -1,  //
                                         2, -1, 5, -1, 8, -1, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels));
  const __m256i samples = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), pairs);
  const __m128i four = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(weights));
  return _mm256_madd_epi16(samples, _mm256_broadcastq_epi64(four));
}

// The bytes of two outputs, (r g b r g b 0 0), of their sums.
[[IE_AVX2]] inline std::int64_t two_outputs(__m256i sum, __m256i next, __m256i half, __m128i shift) {
  const __m128i order = _mm_setr_epi8(0, 1, 4, 2, 3, 6, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m256i whole = _mm256_sra_epi32(_mm256_add_epi32(_mm256_hadd_epi32(sum, next), half), shift);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
  return _mm_cvtsi128_si64(_mm_shuffle_epi8(_mm_packus_epi16(words, words), order));
}

[[IE_AVX2]] void across_avx2(const FixedTaps& taps, const std::uint8_t* row, std::uint8_t* out) {
  const __m256i half = _mm256_set1_epi32(1 << (taps.precision - 1));
  const __m128i shift = _mm_cvtsi32_si128(taps.precision);
  const std::uint32_t *firsts = taps.first.data(), *counts = taps.count.data();
  const std::size_t outputs = taps.first.size(), stride = taps.stride;
  for (std::size_t x = 0; x < outputs; x += 2) {
    const std::size_t next = std::min(x + 1, outputs - 1);  // an unpaired last one is paired with itself
    const std::int16_t *weights = taps.weights.data() + x * stride, *next_weights = taps.weights.data() + next * stride;
    const std::uint8_t *pixel = row + std::size_t{firsts[x]} * 3, *next_pixel = row + std::size_t{firsts[next]} * 3;
    __m256i sum = _mm256_setzero_si256(), next_sum = sum;
    std::size_t k = 0;
    for (const std::size_t both = std::min(counts[x], counts[next]); k < both; k += kTapGroup) {
      sum = _mm256_add_epi32(sum, weigh_four(pixel + k * 3, weights + k));
      next_sum = _mm256_add_epi32(next_sum, weigh_four(next_pixel + k * 3, next_weights + k));
    }
    for (std::size_t i = k; i < counts[x]; i += kTapGroup)
      sum = _mm256_add_epi32(sum, weigh_four(pixel + i * 3, weights + i));
    for (std::size_t i = k; i < counts[next]; i += kTapGroup)
      next_sum = _mm256_add_epi32(next_sum, weigh_four(next_pixel + i * 3, next_weights + i));
    const std::int64_t bytes = two_outputs(sum, next_sum, half, shift);
    std::memcpy(out + x * 3, &bytes, sizeof bytes);  // the last two are overwritten by the next pair
  }
}

[[IE_AVX2]] inline __m256i load_row(const std::uint8_t* bytes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
}

// Rows in pairs; an unpaired last one is paired with itself at weight 0.
[[IE_AVX2]] void down_avx2(const FixedTaps& taps, std::size_t y, const std::uint8_t* const* rows, std::size_t bytes,
                           std::uint8_t* out) {
  const std::int16_t* weight = taps.weights.data() + y * taps.stride;
  const std::size_t count = taps.count[y];
  const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi32(1 << (taps.precision - 1));
  const __m128i shift = _mm_cvtsi32_si128(taps.precision);
  for (std::size_t left = 0; left < bytes; left += kRowBlock) {
    __m256i sums[4] = {half, half, half, half};
    for (std::size_t k = 0; k < count; k += 2) {
      const __m256i first = load_row(rows[k] + left), second = load_row(rows[std::min(k + 1, count - 1)] + left);
      int pair = 0;
      std::memcpy(&pair, weight + k, sizeof pair);
      const __m256i weights = _mm256_set1_epi32(pair);
      const __m256i low = _mm256_unpacklo_epi8(first, second), high = _mm256_unpackhi_epi8(first, second);
      sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), weights));
      sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), weights));
      sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), weights));
      sums[3] = _mm256_add_epi32(sums[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), weights));
    }
    for (__m256i& sum : sums) sum = _mm256_sra_epi32(sum, shift);
    const __m256i words = _mm256_packs_epi32(sums[0], sums[1]), more = _mm256_packs_epi32(sums[2], sums[3]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + left), _mm256_packus_epi16(words, more));
  }
}

const ResampleLoops kFastest = cpu_uses(CpuLevel::kAvx2) ? ResampleLoops{across_avx2, down_avx2} : kPortable;
#else
constexpr ResampleLoops kFastest = kPortable;
#endif

int precision_of(const std::vector<float>& weights) {
  float largest = 0;
  for (const float weight : weights) largest = std::max(largest, std::abs(weight));
  return precision_for(largest);
}

std::size_t round_up(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

const ResampleLoops& loops_for(Speed speed) { return speed == Speed::kFastest ? kFastest : kPortable; }

}  // namespace

FixedTaps::FixedTaps(const Taps& taps)
    : first(taps.first),
      count(taps.count),
      stride(static_cast<std::uint32_t>(round_up(taps.stride, kTapGroup))),
      precision(precision_of(taps.weights)) {
  weights.resize(first.size() * stride);
  for (std::size_t i = 0; i < first.size(); ++i)
    round_taps(
        count[i], precision, [&](std::uint32_t k) { return taps.weights[i * taps.stride + k]; },
        [&](std::uint32_t k, std::int16_t weight) { weights[i * stride + k] = weight; });
}

ResampledRows::ResampledRows(const Taps& across, const Taps& down, Speed speed)
    : speed_(speed),
      across_(across),
      down_(down),
      row_bytes_(round_up(across.first.size() * 3 + kSpareBytes, kRowBlock)),
      ring_(down_.stride * row_bytes_),
      rows_(down_.stride),
      out_(row_bytes_) {}

void ResampledRows::take(std::uint32_t y, const std::uint8_t* row) {
  loops_for(speed_).across(across_, row, in_ring(y));
}

std::span<const std::uint8_t> ResampledRows::make(std::uint32_t y) {
  for (std::uint32_t k = 0; k < down_.count[y]; ++k) rows_[k] = in_ring(down_.first[y] + k);
  loops_for(speed_).down(down_, y, rows_.data(), row_bytes_, out_.data());
  return std::span(out_).first(across_.first.size() * 3);
}

}  // namespace image_engine
