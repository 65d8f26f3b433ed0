// Overlapping parts of a picture, for things that are too small in the whole of it.
#pragma once

#include <cstdint>
#include <vector>

namespace image_engine::vision {

// A part of an edge, in pixels.
struct Span {
  std::uint32_t from = 0, length = 0;
};

inline constexpr double kTileOverlap = 0.25;  // of a part, with the next

// `count` (at least 1) parts of equal length that cover the edge.
std::vector<Span> spans(std::uint32_t edge, std::uint32_t count);

// The least number of such parts that are at most `longest` pixels long, up to `most`.
std::uint32_t spans_needed(std::uint32_t edge, std::uint32_t longest, std::uint32_t most);

}  // namespace image_engine::vision
