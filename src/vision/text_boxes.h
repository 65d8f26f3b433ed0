// Finds text in the map of a DB detector (Liao et al., 2020), as PaddleOCR does.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vision/text_pixels.h"

namespace image_engine::vision {

struct BoxOptions {
  float threshold = 0.3F;      // of a pixel's probability
  float box_threshold = 0.5F;  // of a box' mean
  double unclip = 1.6;         // a box grows by this × area / perimeter on each side: DB shrinks text regions
  std::size_t most = 1000;     // candidates; the largest if there are more
  double least_tilt = 0;       // pixels of the map from end to end: what is tilted by less is upright
};

// Quadrangles in whole pixels of the picture, inside it, each more than 3 pixels wide and high: the smallest rectangles
// around connected pixels and around the holes in them. `map`: probabilities, finite, height × width, of the whole
// picture in another size.
struct TextMap {
  std::uint32_t width = 0, height = 0;
  std::span<const float> values;
};
std::vector<Quad> find_boxes(const TextMap& map, const BoxOptions& options, std::uint32_t picture_width,
                             std::uint32_t picture_height);

// From top to bottom; from left to right where top left corners are less than 10 pixels apart in height.
void sort_for_reading(std::vector<Quad>& boxes);

}  // namespace image_engine::vision
