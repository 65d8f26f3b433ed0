#include "media/tone_map.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace image_engine::media {
namespace {

constexpr std::size_t kCodes = 65536;
constexpr std::size_t kSteps = 1U << 16;  // of linear light in 0…1: finer than an eighth of a level of sRGB everywhere
constexpr double kWhite = 100;            // cd/m² of 1.0
constexpr float kUnknownPeak = 10;

// SMPTE ST 2084, 5.1: cd/m² of a signal in 0…1.
double pq_light(double signal) {
  constexpr double m1 = 2610.0 / 16384, m2 = 2523.0 / 4096 * 128;
  constexpr double c1 = 3424.0 / 4096, c2 = 2413.0 / 4096 * 32, c3 = 2392.0 / 4096 * 32;
  const double root = std::pow(signal, 1 / m2);
  return 10'000 * std::pow(std::max(root - c1, 0.0) / (c2 - c3 * root), 1 / m1);
}

// ITU-R BT.2100, table 5: the inverse of HLG's OETF, then its OOTF for a display of 1,000 cd/m², of each channel as
// zscale has it (the recommendation's is of the luminance).
double hlg_light(double signal) {
  constexpr double a = 0.17883277, b = 1 - 4 * a;
  const double c = 0.5 - a * std::log(4 * a);
  const double scene = signal <= 0.5 ? signal * signal / 3 : (std::exp((signal - c) / a) + b) / 12;
  return 1000 * std::pow(scene, 1.2);
}

// John Hable's filmic curve, "Uncharted 2: HDR Lighting" (2010), with his constants.
float hable(float x) {
  constexpr float a = 0.15F, b = 0.50F, c = 0.10F, d = 0.20F, e = 0.02F, f = 0.30F;
  return (x * (x * a + b * c) + d * e) / (x * (x * a + b) + d * f) - e / f;
}

// Linear light of the primaries to that of sRGB's, white D65 in all.
constexpr float kFromBt2020[] = {1.660491F,  -0.587641F, -0.072850F, -0.124550F, 1.132900F,
                                 -0.008349F, -0.018151F, -0.100579F, 1.118730F};
constexpr float kFromP3[] = {1.224940F, -0.224940F, 0, -0.042057F, 1.042057F, 0, -0.019638F, -0.078636F, 1.098274F};
constexpr float kFromSrgb[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};

const float* matrix_of(std::uint16_t primaries) {
  if (primaries == 1) return kFromSrgb;
  return primaries == 11 || primaries == 12 ? kFromP3 : kFromBt2020;
}

double srgb_signal(double light) {
  return light <= 0.0031308 ? 12.92 * light : 1.055 * std::pow(light, 1 / 2.4) - 0.055;
}

}  // namespace

ToneMapper::ToneMapper(const HdrKind& kind, double peak)
    : peak_scale_(1 / hable(peak > 0 ? static_cast<float>(peak) : kUnknownPeak)), to_srgb_(matrix_of(kind.primaries)) {
  linear_.resize(kCodes);
  for (std::size_t i = 0; i < kCodes; ++i) {
    const double signal = static_cast<double>(i) / (kCodes - 1);
    linear_[i] = static_cast<float>((kind.transfer == Transfer::kPq ? pq_light(signal) : hlg_light(signal)) / kWhite);
  }
  srgb_.resize(kSteps);
  for (std::size_t i = 0; i < kSteps; ++i)
    srgb_[i] = static_cast<std::uint8_t>(std::lround(255 * srgb_signal(static_cast<double>(i) / (kSteps - 1))));
}

void ToneMapper::map(std::span<const std::uint16_t> pixels, std::uint8_t* out) const {
  const auto encoded = [&](float light) {
    return srgb_[static_cast<std::size_t>(std::clamp(light, 0.0F, 1.0F) * (kSteps - 1) + 0.5F)];
  };
  for (std::size_t i = 0; i + 2 < pixels.size(); i += 3) {
    float r = linear_[pixels[i]], g = linear_[pixels[i + 1]], b = linear_[pixels[i + 2]];
    const float brightest = std::max({r, g, b, 1e-6F});
    const float scale = hable(brightest) * peak_scale_ / brightest;
    r *= scale, g *= scale, b *= scale;
    for (std::size_t c = 0; c < 3; ++c) {
      const float* row = to_srgb_ + 3 * c;
      out[i + c] = encoded(row[0] * r + row[1] * g + row[2] * b);
    }
  }
}

}  // namespace image_engine::media
