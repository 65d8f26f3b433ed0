// Draws lines, rectangles and text on a picture, and encodes it. Only for display.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "types/box.h"
#include "types/image.h"
#include "vision/masks.h"

namespace image_engine::cli {

struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
};
struct Spot {
  float x = 0, y = 0;  // pixels of the canvas; the centre of the first is 0.5
};

// A TrueType font. Characters are drawn in text order: joining and right-to-left scripts are not shaped. Missing
// characters are drawn as the font's empty box.
class Font {
 public:
  // IMAGE_ENGINE_FONT, else DejaVu Sans from the system's font folders. kNotFound, kCorrupt: it is unusable.
  static Result<Font> open();
  // The width in pixels of a line of that height.
  [[nodiscard]] float width(std::string_view text, float height) const;

 private:
  friend class Canvas;
  Font() = default;
  struct Data;
  std::shared_ptr<const Data> data_;
};

// Drawing is clipped to the picture. Any numbers are safe; NaN draws nothing.
class Canvas {
 public:
  explicit Canvas(const ImageView& picture);
  [[nodiscard]] std::uint32_t width() const { return image_.width; }
  [[nodiscard]] std::uint32_t height() const { return image_.height; }

  // Draws another picture with its top left at that pixel.
  void paste(const ImageView& picture, std::uint32_t left, std::uint32_t top);
  // With round ends, antialiased.
  void line(Spot from, Spot to, float width, Colour colour);
  // `opacity`: 0…1.
  void fill(const Box& box, Colour colour, float opacity);
  // What is inside the mask, which is stretched over the whole canvas.
  void tint(const vision::Mask& mask, Colour colour, float opacity);
  // UTF-8 in a line of `height` pixels whose top left is `at`.
  void write(const Font& font, Spot at, std::string_view text, float height, Colour colour);

  [[nodiscard]] Result<std::vector<std::byte>> png() const;
  [[nodiscard]] Result<std::vector<std::byte>> jpeg() const;

 private:
  void blend(std::int64_t x, std::int64_t y, Colour colour, float opacity);
  Image image_;
};

}  // namespace image_engine::cli
