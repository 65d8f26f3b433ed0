// The few numbers of a picture of which perceptual hashes and figures of colour and of flatness are computed. A GPU
// that decodes pictures makes them, too, so that the CPU need not read the pixels.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "types/flat_colours.h"
#include "types/metadata.h"

namespace image_engine {

inline constexpr std::uint32_t kHashEdge = 32;                   // of the grey picture for phash
inline constexpr std::uint32_t kHashWidth = 9, kHashHeight = 8;  // of the one for dhash
inline constexpr std::uint32_t kColourParts = 4;                 // along each edge

// Integers, so that they are the same wherever they are made. Negative sums are modulo 2⁶⁴.
struct CondensedPicture {
  std::uint32_t width = 0, height = 0;  // of the picture; 0: nothing was made
  // Luma by Pillow's Lanczos, row by row.
  std::array<std::uint8_t, std::size_t{kHashWidth} * kHashHeight> for_dhash{};
  std::array<std::uint8_t, std::size_t{kHashEdge} * kHashEdge> for_phash{};
  // Red, green and blue of 4 × 4 parts, row by row.
  std::array<std::uint64_t, std::size_t{kColourParts} * kColourParts * 3> parts{};
  // Of red − green, and of red + green − 2 blue.
  std::uint64_t rg = 0, rg_squares = 0, yb = 0, yb_squares = 0;
  FlatColours flat;

  bool operator==(const CondensedPicture&) const = default;
};

template <typename Archive>
void visit_fields(Archive& archive, Same<CondensedPicture> auto& c) {
  archive(c.width), archive(c.height);
  for (auto& level : c.for_dhash) archive(level);
  for (auto& level : c.for_phash) archive(level);
  for (auto& sum : c.parts) archive(sum);
  archive(c.rg), archive(c.rg_squares), archive(c.yb), archive(c.yb_squares);
  archive(c.flat);
}

}  // namespace image_engine
