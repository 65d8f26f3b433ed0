// Pixels in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace image_engine {

// 8-bit sRGB, interleaved RGB, rows without padding, origin top left, upright.
struct Image {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::vector<std::uint8_t> pixels;  // height × width × 3

  [[nodiscard]] size_t row_bytes() const { return size_t{width} * 3; }
};

// The same layout, owned by somebody else.
struct ImageView {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::span<const std::uint8_t> pixels;
};

// The part of `picture` at (x, y), which is to lie within it.
Image crop(const ImageView& picture, std::uint32_t x, std::uint32_t y, std::uint32_t width, std::uint32_t height);

}  // namespace image_engine
