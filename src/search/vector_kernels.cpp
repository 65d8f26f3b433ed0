#include "search/vector_kernels.h"

#include <algorithm>

#include "core/cpu.h"
#include "types/half.h"
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
    const std::vector<float> row = from_half({row_at(base, stride, rows, i), stride});
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

// While a row is read, the row this far ahead is prefetched: the CPU's own prefetcher does not know which rows a filter
// skips, and stops at page boundaries.
constexpr std::size_t kFetchAhead = 4096;  // bytes
constexpr std::size_t kLine = 64;          // bytes of a cache line

// Independent sums.
constexpr std::size_t kSums = 4;

// Prefetches `bytes` at `from`, without lines already fetched.
template <typename Number>
[[gnu::always_inline]] inline void fetch(const Number* from, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += kLine) _mm_prefetch(reinterpret_cast<const char*>(from) + at, _MM_HINT_T0);
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

[[IE_AVX2]] float sum_halves_avx2(const std::uint16_t* row, const std::uint16_t* later, std::size_t stride,
                                  const float* query) {
  constexpr std::size_t kLanes = 8;
  __m256 sums[kSums] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
  for (std::size_t k = 0; k < stride; k += kLanes * kSums) {
    fetch(later + k, kLanes * kSums * sizeof(*row));
    for (std::size_t i = 0; i < kSums; ++i) {
      const std::size_t at = k + i * kLanes;
      const __m256 numbers = _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(row + at)));
      sums[i] = _mm256_fmadd_ps(numbers, _mm256_load_ps(query + at), sums[i]);
    }
  }
  return total(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
}

[[IE_AVX2]] std::int32_t sum_bytes_avx2(const std::int8_t* row, const std::int8_t* later, std::size_t stride,
                                        const std::int16_t* query) {
  constexpr std::size_t kLanes = 16;
  __m256i sums[kSums] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                         _mm256_setzero_si256()};
  for (std::size_t k = 0; k < stride; k += kLanes * kSums) {
    fetch(later + k, kLanes * kSums * sizeof(*row));
    for (std::size_t i = 0; i < kSums; ++i) {
      const std::size_t at = k + i * kLanes;
      const __m256i numbers = _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(row + at)));
      const __m256i wanted = _mm256_load_si256(reinterpret_cast<const __m256i*>(query + at));
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(numbers, wanted));
    }
  }
  return total(_mm256_add_epi32(_mm256_add_epi32(sums[0], sums[1]), _mm256_add_epi32(sums[2], sums[3])));
}

#pragma GCC diagnostic push
#if !defined(__clang__)  // in GCC 12's own header: bug 105593
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
[[IE_AVX512]] float sum_halves_avx512(const std::uint16_t* row, const std::uint16_t* later, std::size_t stride,
                                      const float* query) {
  constexpr std::size_t kLanes = 16;
  __m512 sums[kSums] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  for (std::size_t k = 0; k < stride; k += kLanes * kSums) {
    fetch(later + k, kLanes * kSums * sizeof(*row));
    for (std::size_t i = 0; i < kSums; ++i) {
      const std::size_t at = k + i * kLanes;
      const __m512 numbers = _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(row + at)));
      sums[i] = _mm512_fmadd_ps(numbers, _mm512_load_ps(query + at), sums[i]);
    }
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

[[IE_AVX512]] std::int32_t sum_bytes_avx512(const std::int8_t* row, const std::int8_t* later, std::size_t stride,
                                            const std::int16_t* query) {
  constexpr std::size_t kLanes = 32, kTwo = 2;
  __m512i sums[kTwo] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (std::size_t k = 0; k < stride; k += kLanes * kTwo) {
    fetch(later + k, kLanes * kTwo * sizeof(*row));
    for (std::size_t i = 0; i < kTwo; ++i) {
      const std::size_t at = k + i * kLanes;
      const __m512i numbers = _mm512_cvtepi8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(row + at)));
      sums[i] = _mm512_dpwssd_epi32(sums[i], numbers, _mm512_load_si512(query + at));
    }
  }
  return _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]));
}
#pragma GCC diagnostic pop

template <typename Number, typename Query, typename Sum,
          Sum (*kSumUp)(const Number* row, const Number* later, std::size_t, const Query*)>
void dots_of(const Number* base, std::size_t stride, Rows rows, const Query* query, Sum* dots) {
  const std::size_t ahead = std::max<std::size_t>(1, kFetchAhead / (stride * sizeof(Number)));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Number* later = row_at(base, stride, rows, std::min(i + ahead, rows.size() - 1));
    dots[i] = kSumUp(row_at(base, stride, rows, i), later, stride, query);
  }
}

template <float (*kSumUp)(const std::uint16_t*, const std::uint16_t*, std::size_t, const float*)>
constexpr auto kHalfDots = &dots_of<std::uint16_t, float, float, kSumUp>;
template <std::int32_t (*kSumUp)(const std::int8_t*, const std::int8_t*, std::size_t, const std::int16_t*)>
constexpr auto kByteDots = &dots_of<std::int8_t, std::int16_t, std::int32_t, kSumUp>;
#endif

std::vector<Kernels> find_kernels() {
  std::vector<Kernels> found;
#if defined(__x86_64__)
  if (cpu_uses(CpuLevel::kAvx512))
    found.push_back({"avx512", kHalfDots<sum_halves_avx512>, kByteDots<sum_bytes_avx512>});
  if (cpu_uses(CpuLevel::kAvx2)) found.push_back({"avx2", kHalfDots<sum_halves_avx2>, kByteDots<sum_bytes_avx2>});
#endif
  found.push_back({"plain", half_dots_plain, byte_dots_plain});
  return found;
}

}  // namespace

std::span<const Kernels> usable_kernels() {
  static const std::vector<Kernels> kFound = find_kernels();
  return kFound;
}

}  // namespace image_engine::search
