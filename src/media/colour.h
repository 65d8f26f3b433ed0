// Colour management: ICC profiles and CMYK to sRGB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/result.h"
#include "media/media.h"

namespace image_engine::media {

// The description in the profile, UTF-8; empty when it cannot be read.
std::string profile_description(Bytes icc);

// Whether pixels with this profile need converting: there is a profile, and colours change by it, whatever it is
// called.
bool needs_transform(Bytes icc);

// Converts 8-bit samples of 1 (grey), 3 (RGB) or 4 (CMYK, 255 is full ink) channels to sRGB, perceptual intent. One
// thread at a time.
class ColourTransform {
 public:
  // kCorrupt when the profile is invalid or not for pictures of `channels` channels.
  static Result<ColourTransform> create(Bytes icc, int channels);
  // `in` and `out` may be the same for three channels.
  void apply(const std::uint8_t* in, std::uint8_t* out, size_t pixels) const;

 private:
  struct Close {
    void operator()(void* transform) const;
  };
  std::unique_ptr<void, Close> transform_;
};

// CMYK without a profile, 255 is full ink: R = (255 − C)(255 − K) ÷ 255 and so on.
void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, size_t pixels);

}  // namespace image_engine::media
