#include "vision/drawings.h"

namespace image_engine::vision {
namespace {

// Chosen on drawings of ten kinds by Pillow and on photos that were darkened, overexposed, blurred and compressed
// (docs/accuracy.md).
constexpr double kLeastSame = 0.45;    // of the pairs compared
constexpr double kMostSimilar = 0.25;  // of those that are the same

bool is_flat(const FlatColours& colours) {
  const auto same = static_cast<double>(colours.same);
  return colours.compared > 0 && same >= kLeastSame * static_cast<double>(colours.compared) &&
         static_cast<double>(colours.similar) <= kMostSimilar * same;
}

FlatColours flat_colours(const ImageView& picture) {
  FlatColours colours;
  const std::size_t width = picture.width, height = picture.height;
  if (width * height == 0 || picture.pixels.size() / 3 < width * height) return colours;
  const std::size_t distance = flat_distance(picture.width, picture.height);
  const auto compare = [&](const std::uint8_t* a, const std::uint8_t* b) {
    compare_colours(a, b, colours.compared, colours.same, colours.similar);
  };
  for (std::size_t y = 0; y < height; y += kFlatStep)
    for (std::size_t x = 0; x < width; x += kFlatStep) {
      const std::uint8_t* const pixel = picture.pixels.data() + (y * width + x) * 3;
      if (x + distance < width) compare(pixel, pixel + distance * 3);
      if (y + distance < height) compare(pixel, pixel + distance * width * 3);
    }
  return colours;
}

}  // namespace

bool is_flat_drawing(const ImageView& picture) { return is_flat(flat_colours(picture)); }
bool is_flat_drawing(const CondensedPicture& picture) { return is_flat(picture.flat); }

}  // namespace image_engine::vision
