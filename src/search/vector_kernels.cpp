#include "search/vector_kernels.h"

#include <algorithm>
#include "vision/embedder.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace image_engine::search {
namespace {

using Rows = std::span<const std::uint32_t>;

template <typename Number>
const Number* row_at(const Number* base, std::size_t stride, Rows rows, std::size_t i) {
  return base + stride * rows[i];
}

void half_dots_plain(const std::uint16_t* base, std::size_t stride, Rows rows, const float* query, float* dots) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::vector<float> row = vision::from_half({row_at(base, stride, rows, i), stride});
    float sum = 0;
    for (std::size_t k = 0; k < stride; ++k) sum += row[k] * query[k];
    dots[i] = sum;
  }
}

void byte_dots_plain(const std::int8_t* base, std::size_t stride, Rows rows, const std::int16_t* query,
                     std::int32_t* dots) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int8_t* row = row_at(base, stride, rows, i);
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < stride; ++k) sum += row[k] * query[k];
    dots[i] = sum;
  }
}

#if defined(__x86_64__)
#define IE_AVX2 gnu::target("avx2,fma,f16c")
#define IE_AVX512 gnu::target("avx512f,avx512bw,avx512vnni")

constexpr std::size_t kLine = 64;  // bytes of a cache line

// Rows that are read at once, so that their sums do not wait for each other; those of the next round are fetched
// meanwhile.
constexpr std::size_t kAtOnce = 4;

template <typename Number>
struct Round {
  const Number* row[kAtOnce];
  const Number* next[kAtOnce];
};
// From rows[i] on; what lies behind the last row is the last row again.
template <typename Number>
Round<Number> round_at(const Number* base, std::size_t stride, Rows rows, std::size_t i) {
  Round<Number> round;
  for (std::size_t r = 0; r < kAtOnce; ++r) {
    round.row[r] = row_at(base, stride, rows, std::min(i + r, rows.size() - 1));
    round.next[r] = row_at(base, stride, rows, std::min(i + r + kAtOnce, rows.size() - 1));
  }
  return round;
}

[[IE_AVX2]] inline float total(__m256 v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

[[IE_AVX2]] inline std::int32_t total(__m256i v) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

[[IE_AVX2]] void sum_halves_avx2(const Round<std::uint16_t>& round, std::size_t stride, const float* query,
                                 float* sums) {
  __m256 sum[kAtOnce] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
  for (std::size_t k = 0; k < stride; k += kRowStep) {
    for (std::size_t r = 0; r < kAtOnce; ++r) _mm_prefetch(round.next[r] + k, _MM_HINT_T0);
    for (std::size_t j = k; j < k + kRowStep; j += 8) {
      const __m256 q = _mm256_load_ps(query + j);
      for (std::size_t r = 0; r < kAtOnce; ++r)
        sum[r] = _mm256_fmadd_ps(_mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(round.row[r] + j))), q,
                                 sum[r]);
    }
  }
  for (std::size_t r = 0; r < kAtOnce; ++r) sums[r] = total(sum[r]);
}

[[IE_AVX2]] void sum_bytes_avx2(const Round<std::int8_t>& round, std::size_t stride, const std::int16_t* query,
                                std::int32_t* sums) {
  __m256i sum[kAtOnce] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                          _mm256_setzero_si256()};
  for (std::size_t k = 0; k < stride; k += kRowStep) {
    if (k % kLine == 0)
      for (std::size_t r = 0; r < kAtOnce; ++r) _mm_prefetch(round.next[r] + k, _MM_HINT_T0);
    for (std::size_t j = k; j < k + kRowStep; j += 16) {
      const __m256i q = _mm256_load_si256(reinterpret_cast<const __m256i*>(query + j));
      for (std::size_t r = 0; r < kAtOnce; ++r) {
        const __m128i bytes = _mm_load_si128(reinterpret_cast<const __m128i*>(round.row[r] + j));
        sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), q));
      }
    }
  }
  for (std::size_t r = 0; r < kAtOnce; ++r) sums[r] = total(sum[r]);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // in GCC 12's own header: bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
[[IE_AVX512]] void sum_halves_avx512(const Round<std::uint16_t>& round, std::size_t stride, const float* query,
                                     float* sums) {
  __m512 sum[kAtOnce] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  for (std::size_t k = 0; k < stride; k += kRowStep) {
    for (std::size_t r = 0; r < kAtOnce; ++r) _mm_prefetch(round.next[r] + k, _MM_HINT_T0);
    for (std::size_t j = k; j < k + kRowStep; j += 16) {
      const __m512 q = _mm512_load_ps(query + j);
      for (std::size_t r = 0; r < kAtOnce; ++r)
        sum[r] = _mm512_fmadd_ps(_mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(round.row[r] + j))),
                                 q, sum[r]);
    }
  }
  for (std::size_t r = 0; r < kAtOnce; ++r) sums[r] = _mm512_reduce_add_ps(sum[r]);
}

[[IE_AVX512]] void sum_bytes_avx512(const Round<std::int8_t>& round, std::size_t stride, const std::int16_t* query,
                                    std::int32_t* sums) {
  __m512i sum[kAtOnce] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                          _mm512_setzero_si512()};
  for (std::size_t k = 0; k < stride; k += kRowStep) {
    if (k % kLine == 0)
      for (std::size_t r = 0; r < kAtOnce; ++r) _mm_prefetch(round.next[r] + k, _MM_HINT_T0);
    const __m512i q = _mm512_load_si512(query + k);
    for (std::size_t r = 0; r < kAtOnce; ++r) {
      const __m256i bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(round.row[r] + k));
      sum[r] = _mm512_dpwssd_epi32(sum[r], _mm512_cvtepi8_epi16(bytes), q);
    }
  }
  for (std::size_t r = 0; r < kAtOnce; ++r) sums[r] = _mm512_reduce_add_epi32(sum[r]);
}

#pragma GCC diagnostic pop

template <typename Number, typename Query, typename Sum,
          void (*kSumUp)(const Round<Number>&, std::size_t, const Query*, Sum*)>
void dots_of(const Number* base, std::size_t stride, Rows rows, const Query* query, Sum* dots) {
  for (std::size_t i = 0; i < rows.size(); i += kAtOnce) {
    Sum sums[kAtOnce];
    kSumUp(round_at(base, stride, rows, i), stride, query, sums);
    for (std::size_t r = 0; r < kAtOnce && i + r < rows.size(); ++r) dots[i + r] = sums[r];
  }
}

template <void (*kSumUp)(const Round<std::uint16_t>&, std::size_t, const float*, float*)>
constexpr auto kHalfDots = &dots_of<std::uint16_t, float, float, kSumUp>;
template <void (*kSumUp)(const Round<std::int8_t>&, std::size_t, const std::int16_t*, std::int32_t*)>
constexpr auto kByteDots = &dots_of<std::int8_t, std::int16_t, std::int32_t, kSumUp>;
#endif

std::vector<Kernels> find_kernels() {
  std::vector<Kernels> found;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
    found.push_back({"avx512", kHalfDots<sum_halves_avx512>, kByteDots<sum_bytes_avx512>});
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
    found.push_back({"avx2", kHalfDots<sum_halves_avx2>, kByteDots<sum_bytes_avx2>});
#endif
  found.push_back({"plain", half_dots_plain, byte_dots_plain});
  return found;
}

}  // namespace

std::span<const Kernels> usable_kernels() {
  static const std::vector<Kernels> found = find_kernels();
  return found;
}

}  // namespace image_engine::search
