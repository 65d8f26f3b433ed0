#include "media/block_pixels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/cpu.h"

namespace image_engine::media {
namespace {

// The compiler makes these of what vectors the CPU has.
using Eight = float __attribute__((vector_size(32)));
using Four = float __attribute__((vector_size(16)));
using EightNumbers = std::int32_t __attribute__((vector_size(32)));
using FourNumbers = std::int32_t __attribute__((vector_size(16)));
using EightValues = std::int16_t __attribute__((vector_size(16)));

#define IE_INLINE [[gnu::always_inline]] inline

// cos(u π / 16)
constexpr float kCos1 = 0.98078528F, kCos2 = 0.92387953F, kCos3 = 0.83146961F, kCos5 = 0.55557023F, kCos6 = 0.38268343F,
                kCos7 = 0.19509032F;

// The sums of the four cosines of 4 samples. The third coefficient is to be multiplied by √½ before.
template <typename Vector>
IE_INLINE void cosines_of_4(const Vector& c0, const Vector& c1, const Vector& c2, const Vector& c3, Vector* out) {
  const Vector outer = c0 + c2, inner = c0 - c2;
  const Vector far = c1 * kCos2 + c3 * kCos6, near = c1 * kCos6 - c3 * kCos2;
  out[0] = outer + far, out[3] = outer - far;
  out[1] = inner + near, out[2] = inner - near;
}

// Likewise of 8: the even ones are those of 4, the fifth is to be multiplied by √½.
IE_INLINE void cosines_of_8(const Eight* c, Eight* out) {
  Eight even[4];
  cosines_of_4(c[0], c[2], c[4], c[6], even);
  const Eight odd[4] = {c[1] * kCos1 + c[3] * kCos3 + c[5] * kCos5 + c[7] * kCos7,
                        c[1] * kCos3 - c[3] * kCos7 - c[5] * kCos1 - c[7] * kCos5,
                        c[1] * kCos5 - c[3] * kCos1 + c[5] * kCos7 + c[7] * kCos3,
                        c[1] * kCos7 - c[3] * kCos5 + c[5] * kCos3 - c[7] * kCos1};
  for (int k = 0; k < 4; ++k) out[k] = even[k] + odd[k], out[7 - k] = even[k] - odd[k];
}

IE_INLINE void load(const CoefficientBlock& block, const float* factors, Eight* rows) {
  for (int u = 0; u < 8; ++u) {
    EightValues values;
    Eight scale;
    std::memcpy(&values, &block.values[static_cast<std::size_t>(u) * 8], sizeof values);
    std::memcpy(&scale, factors + u * 8, sizeof scale);
    rows[u] = __builtin_convertvector(__builtin_convertvector(values, EightNumbers), Eight) * scale;
  }
}

// Puts samples, of 0…255, in the place of byte `place` of each number.
template <typename Numbers, typename Vector>
IE_INLINE void put_bytes(const Vector& samples, int place, Numbers& into) {
  const Vector shifted = samples + 128.5F;
  const Vector low = shifted > 0 ? shifted : Vector{};
  const Vector clamped = low < 255 ? low : Vector{} + 255;
  into |= __builtin_convertvector(clamped, Numbers) << (place * 8);
}

IE_INLINE void transpose(Eight* r) {
  Eight t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  Eight q[8];
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; ++j) {
      q[i + j * 2] = __builtin_shufflevector(t[i + j], t[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      q[i + j * 2 + 1] = __builtin_shufflevector(t[i + j], t[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; ++i) {
    r[i] = __builtin_shufflevector(q[i], q[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    r[i + 4] = __builtin_shufflevector(q[i], q[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

IE_INLINE void all_of(const CoefficientBlock& block, const float* factors, std::uint8_t* out, std::size_t stride) {
  Eight rows[8], columns[8];
  load(block, factors, rows);
  cosines_of_8(rows, columns);
  transpose(columns);
  cosines_of_8(columns, rows);  // rows[x] has column x
  EightNumbers halves[2] = {};
  for (int x = 0; x < 8; ++x) put_bytes(rows[x], x % 4, halves[x / 4]);
  for (int y = 0; y < 8; ++y) {
    const std::int32_t pair[2] = {halves[0][y], halves[1][y]};
    std::memcpy(out + static_cast<std::size_t>(y) * stride, pair, sizeof pair);
  }
}

// The mean of two samples is a sum of the four lower cosines of 4, of which each has a share of two coefficients.
IE_INLINE void means_of(const CoefficientBlock& block, const float* factors, std::uint8_t* out, std::size_t stride) {
  Eight c[8], r[4];
  load(block, factors, c);
  cosines_of_4<Eight>(c[0], c[1] + c[7], c[2] + c[6], c[3] + c[5], r);
  // Their columns in pairs: 0 and 4, 1 and 5, 2 and 6, 3 and 7.
  Eight t[4], pairs[4];
  for (int i = 0; i < 4; i += 2) {
    t[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    t[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 2; ++i) {
    pairs[i * 2] = __builtin_shufflevector(t[i], t[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    pairs[i * 2 + 1] = __builtin_shufflevector(t[i], t[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  Four low[4], high[4];
  for (int i = 0; i < 4; ++i) {
    std::memcpy(&low[i], &pairs[i], sizeof low[i]);
    std::memcpy(&high[i], reinterpret_cast<const char*>(&pairs[i]) + sizeof low[i], sizeof high[i]);
  }
  Four columns[4];
  cosines_of_4<Four>(low[0], low[1] + high[3], low[2] + high[2], low[3] + high[1], columns);
  FourNumbers bytes = {};
  for (int x = 0; x < 4; ++x) put_bytes(columns[x], x, bytes);
  for (int y = 0; y < 4; ++y) {
    const std::int32_t four = bytes[y];
    std::memcpy(out + static_cast<std::size_t>(y) * stride, &four, sizeof four);
  }
}

using Transform = void (*)(const CoefficientBlock&, const float*, std::uint8_t*, std::size_t);
struct Transforms {
  Transform all, means;
};
void all_anywhere(const CoefficientBlock& block, const float* factors, std::uint8_t* out, std::size_t stride) {
  all_of(block, factors, out, stride);
}
void means_anywhere(const CoefficientBlock& block, const float* factors, std::uint8_t* out, std::size_t stride) {
  means_of(block, factors, out, stride);
}
constexpr Transforms kAnywhere{all_anywhere, means_anywhere};
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void all_avx2(const CoefficientBlock& block, const float* factors, std::uint8_t* out,
                                          std::size_t stride) {
  all_of(block, factors, out, stride);
}
[[gnu::target("avx2,fma")]] void means_avx2(const CoefficientBlock& block, const float* factors, std::uint8_t* out,
                                            std::size_t stride) {
  means_of(block, factors, out, stride);
}
const Transforms kTransforms = cpu_uses(CpuLevel::kAvx2) ? Transforms{all_avx2, means_avx2} : kAnywhere;
#else
constexpr Transforms kTransforms = kAnywhere;
#endif

// What coefficient u of 8 along an edge counts.
double share_of_all(std::size_t u) { return u == 0 || u == 4 ? std::sqrt(0.125) : 0.5; }
// The mean of the cosines of samples 2k and 2k + 1 is cos(uπ/16) times that of sample k of 4; those of u and 8 − u
// differ there in their sign, and that of 4 is 0.
double share_of_means(std::size_t u) {
  if (u == 4) return 0;
  const double share = u % 4 == 0 || u % 4 == 2 ? std::sqrt(0.125) : 0.5;
  return std::cos(static_cast<double>(u) * std::numbers::pi / 16) * (u > 4 ? -share : share);
}

}  // namespace

BlockTransform::BlockTransform(std::span<const std::uint16_t, 64> quantizers) {
  for (std::size_t i = 0; i < 64; ++i) {
    for_all_[i] = static_cast<float>(quantizers[i] * share_of_all(i / 8) * share_of_all(i % 8));
    for_means_[i] = static_cast<float>(quantizers[i] * share_of_means(i / 8) * share_of_means(i % 8));
  }
}

std::uint8_t BlockTransform::level(const CoefficientBlock& block) const {
  return static_cast<std::uint8_t>(
      std::clamp(static_cast<float>(block.values[0]) * for_all_[0] + 128.5F, 0.0F, 255.0F));
}

void BlockTransform::write_all(const CoefficientBlock& block, std::uint8_t* out, std::size_t stride) const {
  if (!block.is_flat) return kTransforms.all(block, for_all_.data(), out, stride);
  for (int y = 0; y < 8; ++y) std::memset(out + static_cast<std::size_t>(y) * stride, level(block), 8);
}

void BlockTransform::write_means(const CoefficientBlock& block, std::uint8_t* out, std::size_t stride) const {
  if (!block.is_flat) return kTransforms.means(block, for_means_.data(), out, stride);
  for (int y = 0; y < 4; ++y) std::memset(out + static_cast<std::size_t>(y) * stride, level(block), 4);
}

}  // namespace image_engine::media
