#include "types/same_picture.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace image_engine {

bool is_same_picture(std::span<const std::uint8_t> one, std::span<const std::uint8_t> other, std::uint32_t width,
                     std::uint32_t height) {
  // Blocks of 8 × 6 small pixels. A coded still's blocks differ by less than 1 level in the mean from frame to frame; a
  // person of 2 × 4 small pixels who enters one changes it by more than 4 (opencv-doc's vtest.avi).
  constexpr std::size_t kBlockWidth = 8, kBlockHeight = 6, kLevels = 3;
  if (one.size() != other.size() || one.size() != std::size_t{width} * height * 3) return false;
  for (std::size_t top = 0; top < height; top += kBlockHeight)
    for (std::size_t left = 0; left < width; left += kBlockWidth) {
      const std::size_t bottom = std::min<std::size_t>(top + kBlockHeight, height);
      const std::size_t right = std::min<std::size_t>(left + kBlockWidth, width);
      std::size_t sum = 0;
      for (std::size_t y = top; y < bottom; ++y)
        for (std::size_t i = (y * width + left) * 3; i < (y * width + right) * 3; ++i)
          sum += static_cast<std::size_t>(std::abs(one[i] - other[i]));
      if (sum > kLevels * (bottom - top) * (right - left) * 3) return false;
    }
  return true;
}

}  // namespace image_engine
