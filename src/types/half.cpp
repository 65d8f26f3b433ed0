// binary16 of IEEE 754-2008: 1 sign, 5 exponent (bias 15), 10 fraction bits.
#include "types/half.h"

#include <algorithm>
#include <bit>

#include "core/cpu.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace image_engine {
namespace {

std::uint16_t half_of(float value) {
  constexpr std::uint32_t kOverflow = 0x477ff000;  // 65520, the least that rounds to infinity
  constexpr std::uint32_t kNormal = 0x38800000;    // 2⁻¹⁴, the least normal half
  constexpr std::uint32_t kRebias = (127U - 15U) << 23;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  const auto signed_half = [&](std::uint32_t rest) { return static_cast<std::uint16_t>(sign | rest); };
  if (magnitude > 0x7f800000U) return signed_half(0x7e00U | ((magnitude >> 13) & 0x3ffU));  // NaN, made quiet
  if (magnitude >= kOverflow) return signed_half(0x7c00U);
  if (magnitude >= kNormal) {
    // A carry out of the fraction correctly increments the exponent.
    const std::uint32_t odd = (magnitude >> 13) & 1U;
    return signed_half((magnitude - kRebias + 0xfffU + odd) >> 13);
  }
  // At 0.5 a float's last place is 2⁻²⁴, like a subnormal half's: the addition rounds.
  const float rounded = std::bit_cast<float>(magnitude) + 0.5F;
  return signed_half(std::bit_cast<std::uint32_t>(rounded) - std::bit_cast<std::uint32_t>(0.5F));
}

float float_of(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16, magnitude = half & 0x7fffU;
  if (magnitude >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | ((magnitude & 0x3ffU) << 13));
  constexpr float kScale = 0x1p112F;  // from a bias of 15 to one of 127, subnormals included
  const float scaled = std::bit_cast<float>(magnitude << 13) * kScale;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
}

#if defined(__x86_64__)
constexpr std::size_t kLanes = 8;

bool has_f16c() { return cpu_uses(CpuLevel::kAvx2); }

// Returns how many values were converted; fewer than kLanes remain.
__attribute__((target("avx,f16c"))) std::size_t pack(const float* values, std::uint16_t* halves, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(values + i), _MM_FROUND_TO_NEAREST_INT));
  return i;
}

__attribute__((target("avx,f16c"))) std::size_t unpack(const std::uint16_t* halves, float* values, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    _mm256_storeu_ps(values + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i))));
  return i;
}
#else
bool has_f16c() { return false; }
std::size_t pack(const float*, std::uint16_t*, std::size_t) { return 0; }
std::size_t unpack(const std::uint16_t*, float*, std::size_t) { return 0; }
#endif

}  // namespace

std::uint16_t to_half(float value) { return half_of(value); }

std::vector<std::uint16_t> to_half(std::span<const float> values) {
  std::vector<std::uint16_t> halves(values.size());
  const std::size_t done = has_f16c() ? pack(values.data(), halves.data(), values.size()) : 0;
  std::transform(values.begin() + static_cast<std::ptrdiff_t>(done), values.end(),
                 halves.begin() + static_cast<std::ptrdiff_t>(done), half_of);
  return halves;
}

std::vector<float> from_half(std::span<const std::uint16_t> halves) {
  std::vector<float> values(halves.size());
  const std::size_t done = has_f16c() ? unpack(halves.data(), values.data(), halves.size()) : 0;
  std::transform(halves.begin() + static_cast<std::ptrdiff_t>(done), halves.end(),
                 values.begin() + static_cast<std::ptrdiff_t>(done), float_of);
  return values;
}

}  // namespace image_engine
