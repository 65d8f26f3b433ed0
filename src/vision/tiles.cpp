#include "vision/tiles.h"

#include <algorithm>
#include <cmath>

namespace image_engine::vision {

std::vector<Span> spans(std::uint32_t edge, std::uint32_t count) {
  const double length = edge / (count - (count - 1) * kTileOverlap);
  std::vector<Span> all;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto from = std::min(static_cast<std::uint32_t>(i * length * (1 - kTileOverlap)), edge - 1);
    const auto to = std::min(static_cast<std::uint32_t>(std::ceil(i * length * (1 - kTileOverlap) + length)), edge);
    all.push_back({from, std::max(to, from + 1) - from});
  }
  return all;
}

std::uint32_t spans_needed(std::uint32_t edge, std::uint32_t longest, std::uint32_t most) {
  const double beyond = std::max(0.0, double{1} * edge / longest - 1);
  return std::min(1 + static_cast<std::uint32_t>(std::ceil(beyond / (1 - kTileOverlap))), most);
}

}  // namespace image_engine::vision
