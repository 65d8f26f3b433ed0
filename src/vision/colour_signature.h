// The colours of a picture in a few bytes: perceptual hashes see luma alone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "types/condensed.h"
#include "types/image.h"

namespace image_engine::vision {

// Mean Cb and Cr (JPEG's, without their 128) of 4 × 4 parts of equal size, row by row.
struct ColourSignature {
  std::array<std::int8_t, 32> chroma{};
  bool operator==(const ColourSignature&) const = default;
};

// Of the upright picture. All zero for an empty picture, or one with fewer pixels than its size requires.
ColourSignature colour_signature(const ImageView& image);
// The same of what was made of that picture. All zero if nothing was.
ColourSignature colour_signature(const CondensedPicture& picture);

// Whether two versions of a picture have the same colours, up to what re-encoding, reducing, brightness, contrast and
// saturation within 30 % change. False for hues turned by 30 degrees, tints and black-and-white copies of what has
// colours. Symmetric. docs/duplicates.md has the figures.
bool have_same_colours(const ColourSignature& a, const ColourSignature& b);

// 64 lower-case hexadecimal digits.
std::string to_hex(const ColourSignature& signature);
// nullopt unless `hex` is exactly 64 hexadecimal digits.
std::optional<ColourSignature> colours_from_hex(std::string_view hex);

}  // namespace image_engine::vision
