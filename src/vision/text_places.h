// Where a closer look for text is worth its time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "types/image.h"
#include "vision/text_pixels.h"

namespace image_engine::vision {

// A part of a picture, in its pixels.
struct Area {
  std::uint32_t x = 0, y = 0, width = 0, height = 0;
};

// Places that look like lines of letters too small for a detector: flat bands in which light and dark alternate from
// left to right, with quiet rows above and below. Letters are 2 to 8 pixels high once the longer edge is reduced to
// about 640. Errs towards yes in foliage and the like.
std::vector<Area> text_texture(const ImageView& picture);

// Places with strokes like those of letters up to 45 pixels high, joined; the rest of a picture whose longer edge is
// about 640 pixels can only have larger ones. Errs towards yes in all that is rough.
std::vector<Area> stroke_places(const ImageView& small);

// The same place in a picture that is larger by that factor.
Area enlarged(const Area& area, double by, const ImageView& picture);

// Places around the boxes whose shorter side is less than `limit` pixels.
std::vector<Area> areas_of_small(std::span<const Quad> boxes, double limit, const ImageView& picture);

// Joins those that overlap. One area, the whole picture, where they cover most of it.
std::vector<Area> joined(std::vector<Area> areas, const ImageView& picture);

// Whether all corners are inside.
bool lies_in(const Quad& box, const Area& area);

}  // namespace image_engine::vision
