// What an asset is called (docs/adr/0003, 0017): by the coded picture, and by the orientation that shows it upright.
#pragma once

#include <array>
#include <cstdint>

#include "core/hash.h"

namespace image_engine {

inline constexpr std::uint32_t kOrientations = 8;  // EXIF's, from 1; 1 is upright as stored

// The hash of the coded data itself for orientation 1 and numbers that are none; for others the first 128 bits of
// SHA-256 over "orientation", the number's digit and that hash: what is computed from pixels depends on how they are
// turned.
Hash128 asset_name(const Hash128& coded, std::uint32_t orientation);

// The names that a picture has by all its orientations, from 1.
std::array<Hash128, kOrientations> asset_names(const Hash128& coded);

}  // namespace image_engine
