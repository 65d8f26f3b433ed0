// Lines, plates and words on a picture, and the picture as a file's bytes. Only for what people look at.
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

namespace image_engine::cli {

struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
};
struct Spot {
  float x = 0, y = 0;  // pixels of the canvas; the middle of the first is 0.5
};

// A TrueType font. Letters stand beside each other in the order of the text: scripts that join or turn round are not
// shaped. What the font lacks is its empty box.
class Font {
 public:
  // IMAGE_ENGINE_FONT, else DejaVu Sans where systems have it. kNotFound, kCorrupt: it cannot be used.
  static Result<Font> open();
  // In pixels of a line of that height.
  [[nodiscard]] float width(std::string_view text, float height) const;

 private:
  friend class Canvas;
  Font() = default;
  struct Data;
  std::shared_ptr<const Data> data_;
};

// All that lies outside the picture is cut off; any numbers are safe, those that are none draw nothing.
class Canvas {
 public:
  explicit Canvas(const ImageView& picture);
  [[nodiscard]] std::uint32_t width() const { return image_.width; }
  [[nodiscard]] std::uint32_t height() const { return image_.height; }

  // Another picture, its top left at that pixel.
  void paste(const ImageView& picture, std::uint32_t left, std::uint32_t top);
  // With round ends, smooth.
  void line(Spot from, Spot to, float width, Colour colour);
  // `opacity`: 0…1.
  void fill(const Box& box, Colour colour, float opacity);
  // UTF-8 in a line of `height` pixels whose top left is `at`.
  void write(const Font& font, Spot at, std::string_view text, float height, Colour colour);

  [[nodiscard]] Result<std::vector<std::byte>> png() const;
  [[nodiscard]] Result<std::vector<std::byte>> jpeg() const;

 private:
  void blend(std::int64_t x, std::int64_t y, Colour colour, float opacity);
  Image image_;
};

}  // namespace image_engine::cli
