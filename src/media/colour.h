// Colour management: ICC profiles to sRGB, and ink to light.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/result.h"
#include "media/media.h"

namespace image_engine::media {

// The profile's own name for itself, UTF-8; empty when it cannot be read.
std::string profile_description(Bytes icc);

// Whether pixels with this profile need converting: there is one, and it is not sRGB by its own name.
bool needs_transform(Bytes icc);

// From 8-bit samples of 1 (grey), 3 (RGB) or 4 (CMYK, 255 is full ink) channels to sRGB, perceptual intent. Use from
// one thread at a time.
class ColourTransform {
 public:
  // kCorrupt when the profile cannot be read or is not one for pictures of so many channels.
  static Result<ColourTransform> create(Bytes icc, int channels);
  // `in` and `out` may be the same for three channels.
  void apply(const std::uint8_t* in, std::uint8_t* out, size_t pixels) const;

 private:
  struct Close {
    void operator()(void* transform) const;
  };
  std::unique_ptr<void, Close> transform_;
};

// CMYK without a profile, 255 being full ink: R = (255 − C)(255 − K) ÷ 255 and so on.
void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, size_t pixels);

}  // namespace image_engine::media
