#include "types/image.h"

namespace image_engine {

Image crop(const ImageView& picture, std::uint32_t x, std::uint32_t y, std::uint32_t width, std::uint32_t height) {
  Image part{width, height, {}};
  part.pixels.reserve(part.row_bytes() * height);
  for (std::uint32_t row = y; row < y + height; ++row) {
    const auto line = picture.pixels.subspan((size_t{row} * picture.width + x) * 3, part.row_bytes());
    part.pixels.insert(part.pixels.end(), line.begin(), line.end());
  }
  return part;
}

}  // namespace image_engine
