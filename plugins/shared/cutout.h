// A subject that is cut out of a photo by the engine's mask.
#pragma once

#include "shared/colour_field.h"

namespace shipped {

// The mask of `target` in the photo; IE_OK, or what run() is to return: then the engine's message or this one says why.
inline ie_status mask_of(const ie_call* call, const ie_picture* photo, const char* target, const ie_picture** mask) {
  const auto* segment = static_cast<const ie_ext_segment*>(call->extension(call, IE_EXT_SEGMENT));
  if (segment == nullptr) {
    call->message(call, "this engine does not cut out subjects (" IE_EXT_SEGMENT " is not offered)");
    return IE_UNSUPPORTED;
  }
  return segment->segment(call, photo, target, mask);
}

// The weight of pixels that are surely of the subject, or of the rest: those that the mask is soft at show both.
class Certain {
 public:
  Certain(const ie_picture& mask, bool of_subject) : mask_(mask), of_subject_(of_subject) {
    int most = 0;
    for (std::uint32_t y = 0; y < mask.height; ++y)
      for (std::uint32_t x = 0; x < mask.width; ++x) most = std::max(most, part(x, y));
    least_ = std::min(least_, most);  // a mask that is soft everywhere
  }

  int operator()(std::uint32_t x, std::uint32_t y) const { return part(x, y) >= least_ ? part(x, y) : 0; }

 private:
  [[nodiscard]] int part(std::uint32_t x, std::uint32_t y) const {
    const int alpha = *pixel(mask_, x, y);
    return of_subject_ ? alpha : 255 - alpha;
  }

  const ie_picture& mask_;
  bool of_subject_;
  int least_ = 245;
};

// Where the mask is soft, a pixel is part subject, part old background. This estimates the subject's part: the colours
// of the nearest pixels that are surely of either, moved by what they leave unexplained of the pixel (as Forte,
// Approximate Fast Foreground Colour Estimation, 2021), so that no rim of the background stays.
class Foreground {
 public:
  Foreground(const ie_picture& photo, const ie_picture& mask)
      : photo_(photo),
        mask_(mask),
        subject_(photo, whole(photo), side_of(photo), Certain(mask, true)),
        rest_(photo, whole(photo), side_of(photo), Certain(mask, false)) {}

  [[nodiscard]] float share(std::uint32_t x, std::uint32_t y) const {
    return static_cast<float>(*pixel(mask_, x, y)) / 255;
  }

  [[nodiscard]] Colour at(std::uint32_t x, std::uint32_t y) const {
    const Colour seen = colour_at(photo_, x, y);
    const float alpha = share(x, y);
    if (alpha == 0 || alpha == 1) return seen;
    const Colour subject = subject_.smooth(x, y), rest = rest_.smooth(x, y);
    const Colour expected = mixed(rest, subject, alpha);
    const auto moved = [&](float Colour::*channel) {
      return std::clamp(subject.*channel + alpha * (seen.*channel - expected.*channel), 0.0F, 255.0F);
    };
    return {moved(&Colour::red), moved(&Colour::green), moved(&Colour::blue)};
  }

 private:
  static std::uint32_t side_of(const ie_picture& photo) {
    constexpr std::uint32_t kSquares = 400, kLeast = 4;  // along the longer edge; pixels
    return std::max(std::max(photo.width, photo.height) / kSquares, kLeast);
  }

  const ie_picture& photo_;
  const ie_picture& mask_;
  ColourField subject_, rest_;
};

// Writes the area's pixels into an IE_RGBA8 picture of its size; of the background nothing stays, not even under alpha
// 0.
inline void cut_out(const ie_picture& photo, const ie_picture& mask, const Area& area, const ie_picture& out) {
  const Foreground subject(photo, mask);
  for (std::uint32_t y = 0; y < area.height; ++y)
    for (std::uint32_t x = 0; x < area.width; ++x) {
      const std::uint8_t alpha = *pixel(mask, area.x + x, area.y + y);
      std::uint8_t* to = pixel(out, x, y);
      put(to, alpha == 0 ? Colour() : subject.at(area.x + x, area.y + y));
      to[3] = alpha;
    }
}

}  // namespace shipped
