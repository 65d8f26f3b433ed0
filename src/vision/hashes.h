// Perceptual hashes: similar pictures differ in few bits.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "types/condensed.h"
#include "types/image.h"

namespace image_engine::vision {

// Of the stage's records: 2 has colours (colour_signature.h).
inline constexpr int kHashesVersion = 2;

// Bit for bit as in the Python package imagehash 4.3, on Pillow's greyscale ("L") and Lanczos resize: dhash: 9 × 8
// pixels, a bit is set where the right of two neighbours is brighter. phash: 32 × 32 pixels, DCT-II of columns and
// rows, of the lowest 8 × 8 coefficients those above their median. The most significant bit is the top left. A
// coefficient that is 0 but for rounding counts as 0.
struct PerceptualHashes {
  std::uint64_t dhash = 0;
  std::uint64_t phash = 0;
  bool operator==(const PerceptualHashes&) const = default;
};

// Of the upright picture. Zeros for an empty picture, or one with fewer pixels than its size requires.
PerceptualHashes perceptual_hashes(const ImageView& image);
// The same of what was made of that picture. Zeros if nothing was.
PerceptualHashes perceptual_hashes(const CondensedPicture& picture);

// Of the picture and its seven other rotated and mirrored versions; [0] is the picture itself. A query compares the
// catalogue's hashes with all eight.
std::array<PerceptualHashes, 8> variants(const ImageView& image);

// The number of bits in which two hashes differ, 0…64.
constexpr int distance(std::uint64_t a, std::uint64_t b) { return std::popcount(a ^ b); }

// 16 lower-case hexadecimal digits, as imagehash prints them.
std::string to_hex(std::uint64_t hash);
// nullopt unless `hex` is exactly 16 hexadecimal digits.
std::optional<std::uint64_t> from_hex(std::string_view hex);

}  // namespace image_engine::vision
