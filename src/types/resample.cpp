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

// `row` is readable for ResampledRows::kPadding bytes after its pixels, `out` is writable for one byte after its own.
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
[[IE_AVX2]] void across_avx2(const FixedTaps& taps, const std::uint8_t* row, std::uint8_t* out) {
  const __m256i pairs = _mm256_setr_epi8(0, -1, 3, -1, 6, -1, 9, -1, 1, -1, 4, -1, 7, -1, 10, -1,  //
                                         2, -1, 5, -1, 8, -1, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i half = _mm_set1_epi32(1 << (taps.precision - 1)), shift = _mm_cvtsi32_si128(taps.precision);
  const std::uint32_t *firsts = taps.first.data(), *counts = taps.count.data();
  const std::int16_t* weights = taps.weights.data();
  const std::size_t outputs = taps.first.size(), stride = taps.stride;
  for (std::size_t x = 0; x < outputs; ++x, weights += stride) {
    const std::uint8_t* pixel = row + std::size_t{firsts[x]} * 3;
    const std::size_t count = counts[x];
    __m256i sum = _mm256_setzero_si256();
    for (std::size_t k = 0; k < count; k += kTapGroup, pixel += kTapGroup * 3) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel));
      const __m256i samples = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), pairs);
      const __m128i four = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(weights + k));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(samples, _mm256_broadcastq_epi64(four)));
    }
    const __m128i whole = _mm_hadd_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    const __m128i words = _mm_packs_epi32(_mm_sra_epi32(_mm_add_epi32(whole, half), shift), _mm_setzero_si128());
    const int rgb = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    std::memcpy(out + x * 3, &rgb, sizeof rgb);  // the fourth byte is overwritten by the next pixel
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
      row_bytes_(round_up(across.first.size() * 3 + 1, kRowBlock)),
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
