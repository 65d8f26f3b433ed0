#include "preprocess/write_pixels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/cpu.h"

namespace image_engine::preprocess {
namespace {

float value_of(const Plan& plan, std::size_t channel, float level, float /*type*/) {
  return (level - plan.mean[channel]) / plan.deviation[channel];
}
std::uint8_t value_of(const Plan& /*plan*/, std::size_t /*channel*/, float level, std::uint8_t /*type*/) {
  return static_cast<std::uint8_t>(std::lround(level));
}

#if defined(__x86_64__)
const bool kHasAvx2 = cpu_uses(CpuLevel::kAvx2);

// Writes pixels in groups of eight into three planes; planes[c] gets the channel source[c]. Returns their number.
[[gnu::target("avx2")]] std::size_t write_planes_avx2(const Plan& plan, const std::array<std::size_t, 3>& source,
                                                      std::span<const std::uint8_t> rgb,
                                                      const std::array<float*, 3>& planes) {
  constexpr std::size_t kReads = 28;  // 16 bytes from byte 12 on: the second four pixels
  const __m128i part = _mm_setr_epi8(0, -1, -1, -1, 3, -1, -1, -1, 6, -1, -1, -1, 9, -1, -1, -1);
  std::size_t done = 0;
  for (; done * 3 + kReads <= rgb.size(); done += 8) {
    const auto* pixels = rgb.data() + done * 3;
    const __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels))),
                                _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + 12)), 1);
    for (std::size_t c = 0; c < 3; ++c) {
      const __m256i mask = _mm256_broadcastsi128_si256(_mm_add_epi8(part, _mm_set1_epi32(static_cast<int>(source[c]))));
      const __m256 levels = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(both, mask));
      const __m256 centred = _mm256_sub_ps(levels, _mm256_set1_ps(plan.mean[c]));
      _mm256_storeu_ps(planes[c] + done, _mm256_div_ps(centred, _mm256_set1_ps(plan.deviation[c])));
    }
  }
  return done;
}
#else
constexpr bool kHasAvx2 = false;
std::size_t write_planes_avx2(const Plan&, const std::array<std::size_t, 3>&, std::span<const std::uint8_t>,
                              const std::array<float*, 3>&) {
  return 0;
}
#endif

}  // namespace

template <typename T>
PixelWriter<T>::PixelWriter(const Plan& plan, InputSize size, std::span<T> out, Speed speed)
    : plan_(plan), out_(out), speed_(speed) {
  const bool planes = plan.layout == Layout::kNchw;
  pixel_step_ = planes ? 1 : 3;
  row_step_ = pixel_step_ * size.width;
  channel_step_ = planes ? std::size_t{size.width} * size.height : 1;
  for (std::size_t c = 0; c < 3; ++c) {
    source_[c] = plan.order == ChannelOrder::kRgb ? c : 2 - c;
    for (std::size_t level = 0; level < 256; ++level)
      values_[c][level] = value_of(plan, c, static_cast<float>(level), T{});
    pad_[c] = value_of(plan, c, plan.pad[c], T{});
  }
}

template <typename T>
void PixelWriter<T>::pixels(std::uint32_t x, std::uint32_t y, std::span<const std::uint8_t> rgb) {
  std::size_t done = 0;
  if constexpr (std::is_same_v<T, float>) {
    T* out = out_.data();
    if (kHasAvx2 && speed_ == Speed::kFastest && pixel_step_ == 1)
      done = write_planes_avx2(plan_, source_, rgb, {out + index(x, y, 0), out + index(x, y, 1), out + index(x, y, 2)});
  }
  for (std::size_t c = 0; c < 3; ++c) {
    T* to = out_.data() + index(x, y, c);
    for (std::size_t i = done; i < rgb.size() / 3; ++i) to[i * pixel_step_] = values_[c][rgb[i * 3 + source_[c]]];
  }
}

template <typename T>
void PixelWriter<T>::padding(std::uint32_t x, std::uint32_t y, std::uint32_t count) {
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < count; ++i) out_[index(x, y, c) + i * pixel_step_] = pad_[c];
}

template class PixelWriter<float>;
template class PixelWriter<std::uint8_t>;

}  // namespace image_engine::preprocess
