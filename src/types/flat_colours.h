// How much of a picture is areas of one colour, as in a drawing, a chart or a screenshot.
#pragma once

#include <cstdint>
#include <vector>

#include "types/host_device.h"
#include "types/metadata.h"

namespace image_engine {

// Counts of pairs of pixels that are about an eightieth of the longer edge apart, beside and above each other; pairs of
// black or of white pixels (within 3 levels), which an over- or underexposed photo has as well, are left out.
struct FlatColours {
  std::uint64_t compared = 0;
  std::uint64_t same = 0;     // of equal colours
  std::uint64_t similar = 0;  // that differ by 1 to 3 levels at most: gradients, noise, what compression leaves

  bool operator==(const FlatColours&) const = default;
};

template <typename Archive>
void visit_fields(Archive& archive, Same<FlatColours> auto& f) {
  archive(f.compared), archive(f.same), archive(f.similar);
}

// The same of each cell of a picture, rows from the top; pairs count where their first pixel is.
struct FlatMap {
  static constexpr std::uint32_t kCell = 8;  // pixels of its edges
  struct Cell {
    std::uint16_t compared = 0, same = 0, similar = 0;
  };
  std::uint32_t across = 0, down = 0;
  std::vector<Cell> cells;
};

// Every third pixel of every third row is compared: of a period that is none of JPEG's blocks.
inline constexpr std::uint32_t kFlatStep = 3;

IE_HOST_DEVICE constexpr std::uint32_t flat_distance(std::uint32_t width, std::uint32_t height) {
  const std::uint32_t longer = width > height ? width : height;
  return longer < 80 ? 1 : (longer + 40) / 80;
}

// Adds a pair of pixels of three levels each to the counts, of any unsigned type.
template <typename Count>
IE_HOST_DEVICE inline void compare_colours(const std::uint8_t* a, const std::uint8_t* b, Count& compared, Count& same,
                                           Count& similar) {
  constexpr int kSimilar = 3, kBlack = 3, kWhite = 252;
  int most = 0, darkest = 255, lightest = 0;
  for (int c = 0; c < 3; ++c) {
    const int difference = a[c] > b[c] ? a[c] - b[c] : b[c] - a[c];
    most = difference > most ? difference : most;
    darkest = a[c] < darkest ? a[c] : darkest, darkest = b[c] < darkest ? b[c] : darkest;
    lightest = a[c] > lightest ? a[c] : lightest, lightest = b[c] > lightest ? b[c] : lightest;
  }
  if (lightest <= kBlack || darkest >= kWhite) return;
  ++compared;
  if (most == 0)
    ++same;
  else if (most <= kSimilar)
    ++similar;
}

}  // namespace image_engine
