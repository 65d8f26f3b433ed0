// Binary masks of segments: their run lengths as COCO has them, and their connected parts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace image_engine::vision {

// Rows without padding, origin top left, upright: 0 is outside the segment, anything else inside.
struct Mask {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::vector<std::uint8_t> pixels;  // height × width
};

// The lengths of the runs of outside and inside pixels in turn, column by column from the top left. The first is of
// outside pixels and may be 0; the others are not. An empty mask has none. `mask` must be complete and have fewer than
// 2³² pixels. Safe to call from several threads, as is all below.
std::vector<std::uint32_t> run_lengths(const Mask& mask);

// The text that COCO's annotations have as `counts`: each length from the fourth on less the one two before it, in
// groups of 5 bits, the lowest first, as characters from '0' (48); bit 5 of a character says that more follow.
std::string coco_counts(const std::vector<std::uint32_t>& lengths);

// The mask of that size whose run lengths such a text has; inside is 255. nullopt: the text is not well-formed, or its
// lengths do not cover exactly width × height pixels, or there are none or more than kMostMaskPixels of these. Safe on
// any text.
inline constexpr std::uint64_t kMostMaskPixels = std::uint64_t{1} << 26;
std::optional<Mask> mask_of_counts(std::uint32_t width, std::uint32_t height, std::string_view counts);

// The mask at another size, which is not larger: inside is what is inside for at least half of its area.
Mask reduced(const Mask& mask, std::uint32_t width, std::uint32_t height);

// A connected part of a mask, in pixels of that mask.
struct MaskPart {
  std::uint32_t left = 0, top = 0;
  Mask mask;               // as large as the part's bounding box; inside is 255
  std::uint64_t area = 0;  // pixels inside
};

// The parts of `mask` whose pixels touch by a side or a corner, those of at least `least_area` pixels, the largest
// first; those of equal area from the top, then the left, of the first pixel in reading order. `mask` is as for
// run_lengths. Memory: at most 13 bytes a pixel of `mask`, and the parts' own masks.
std::vector<MaskPart> connected_parts(const Mask& mask, std::uint64_t least_area);

}  // namespace image_engine::vision
