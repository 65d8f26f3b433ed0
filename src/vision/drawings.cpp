#include "vision/drawings.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace image_engine::vision {
namespace {

// Chosen on drawings of ten kinds by Pillow and on photos that were darkened, overexposed, blurred and compressed
// (docs/accuracy.md).
constexpr double kLeastSame = 0.45;    // of the pairs compared
constexpr double kMostSimilar = 0.25;  // of those that are the same
// Of a drawing's part, which has more outlines than the whole. Two photos on flat grounds have 0.0004 and 0.04 where
// the model sees somebody, a drawing of shapes 0.39.
constexpr double kLeastSameInside = 0.15;

bool is_flat(const FlatColours& colours) {
  const auto same = static_cast<double>(colours.same);
  return colours.compared > 0 && same >= kLeastSame * static_cast<double>(colours.compared) &&
         static_cast<double>(colours.similar) <= kMostSimilar * same;
}

// `counts_of` gives the counts that a pair at (x, y) belongs to.
template <typename CountsOf>
void compare_all(const ImageView& picture, const CountsOf& counts_of) {
  const std::size_t width = picture.width, height = picture.height;
  if (width * height == 0 || picture.pixels.size() / 3 < width * height) return;
  const std::size_t distance = flat_distance(picture.width, picture.height);
  for (std::size_t y = 0; y < height; y += kFlatStep)
    for (std::size_t x = 0; x < width; x += kFlatStep) {
      const std::uint8_t* const pixel = picture.pixels.data() + (y * width + x) * 3;
      auto& counts = counts_of(x, y);
      const auto compare = [&](const std::uint8_t* other) {
        compare_colours(pixel, other, counts.compared, counts.same, counts.similar);
      };
      if (x + distance < width) compare(pixel + distance * 3);
      if (y + distance < height) compare(pixel + distance * width * 3);
    }
}

FlatColours flat_colours(const ImageView& picture) {
  FlatColours colours;
  compare_all(picture, [&](std::size_t /*x*/, std::size_t /*y*/) -> FlatColours& { return colours; });
  return colours;
}

}  // namespace

bool is_flat_drawing(const ImageView& picture) { return is_flat(flat_colours(picture)); }
bool is_flat_drawing(const CondensedPicture& picture) { return is_flat(picture.flat); }

FlatMap flat_map(const ImageView& picture) {
  const auto cells = [](std::uint32_t edge) { return (edge + FlatMap::kCell - 1) / FlatMap::kCell; };
  FlatMap map{cells(picture.width), cells(picture.height), {}};
  map.cells.resize(std::size_t{map.across} * map.down);
  compare_all(picture, [&](std::size_t x, std::size_t y) -> FlatMap::Cell& {
    return map.cells[y / FlatMap::kCell * map.across + x / FlatMap::kCell];
  });
  return map;
}

bool is_flat_at(const FlatMap& map, const Box& box) {
  // The cells that a box touches along an axis: at least one.
  const auto range = [](float from, float length, std::uint32_t cells) {
    constexpr float kRounding = 0.01F;  // of a cell
    const auto at = [&](float place) { return std::clamp(place, 0.0F, 1.0F) * static_cast<float>(cells); };
    const auto first = static_cast<std::uint32_t>(std::max(at(from) + kRounding, 0.0F));
    const auto end = static_cast<std::uint32_t>(std::ceil(std::max(at(from + length) - kRounding, 0.0F)));
    return std::pair(std::min(first, std::max(end, 1U) - 1), std::max(end, 1U));
  };
  const auto [left, right] = range(box.x, box.width, map.across);
  const auto [top, bottom] = range(box.y, box.height, map.down);
  FlatColours inside;
  for (std::uint32_t y = top; y < std::min(bottom, map.down); ++y)
    for (std::uint32_t x = left; x < std::min(right, map.across); ++x) {
      const FlatMap::Cell& cell = map.cells[std::size_t{y} * map.across + x];
      inside.compared += cell.compared, inside.same += cell.same;
    }
  return static_cast<double>(inside.same) >= kLeastSameInside * static_cast<double>(inside.compared);
}

}  // namespace image_engine::vision
