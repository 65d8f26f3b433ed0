// The outlines of a mask as polygons.
#pragma once

#include <cstdint>
#include <vector>

#include "vision/masks.h"

namespace image_engine::vision {

// x and y in turn, in pixels from the mask's top left corner; at least three points, the last is not the first again.
using Polygon = std::vector<double>;

// The outer edge of each part of `mask` whose pixels touch by a side or a corner, clockwise, the largest first; holes
// are not there, as COCO's polygons have none. Points of the pixels' own edges are left out where that moves the
// outline by at most `tolerance` pixels (Ramer, Douglas and Peucker). `mask` is as for run_lengths. Thread-safe.
std::vector<Polygon> outlines(const Mask& mask, double tolerance);

}  // namespace image_engine::vision
