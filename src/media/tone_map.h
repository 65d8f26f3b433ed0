// High dynamic range to sRGB. One mapper for all HDR content.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace image_engine::media {

enum class Transfer : std::uint8_t { kPq, kHlg };  // SMPTE ST 2084; ARIB STD-B67

struct HdrKind {
  Transfer transfer = Transfer::kPq;
  std::uint16_t primaries = 9;  // ITU-T H.273: 1 sRGB's, 9 BT.2020, 11 and 12 P3; others count as BT.2020
};

// Hable's curve as FFmpeg's `tonemap=hable:desat=0` has it, for linear light of which 1 is 100 cd/m², between
// `zscale`'s conversions; then the primaries to sRGB's (of BT.2020: ITU-R BT.2087) and sRGB's transfer function (IEC
// 61966-2-1).
class ToneMapper {
 public:
  // `peak`: of the content, in units of 100 cd/m²; 0: unknown, which counts as 10.
  ToneMapper(const HdrKind& kind, double peak);

  // `pixels` R'G'B' with 16 bits a channel, full range; `out` sRGB, 8 bits. Of 3 × n numbers each.
  void map(std::span<const std::uint16_t> pixels, std::uint8_t* out) const;

 private:
  float peak_scale_;                // 1 / hable(peak)
  const float* to_srgb_;            // 3 × 3, of linear light
  std::vector<float> linear_;       // by code: light of one channel
  std::vector<std::uint8_t> srgb_;  // by light in 0…1
};

}  // namespace image_engine::media
