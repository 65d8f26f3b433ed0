// Rectangles in pixels of the upright photo.
#pragma once

namespace image_engine {

// Origin top left; may have fractions.
struct Box {
  float x = 0, y = 0;           // of the top left corner
  float width = 0, height = 0;  // not negative
  bool operator==(const Box&) const = default;
};

}  // namespace image_engine
