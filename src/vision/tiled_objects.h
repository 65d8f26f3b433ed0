// Objects in panoramas, which one look would shrink below what a detector can see.
#pragma once

#include <cstdint>
#include <vector>

#include "core/result.h"
#include "types/image.h"
#include "vision/objects.h"

namespace image_engine::vision {

// Whether a photo of this size is examined in tiles: one edge is at least 2.5 times the other.
bool needs_tiles(std::uint32_t width, std::uint32_t height);

// The longer edge that such a photo should be decoded with, so that its shorter one fills the detector's input.
std::uint32_t tiled_edge(const ObjectDetector& detector, std::uint32_t full_width, std::uint32_t full_height);

// As ObjectDetector::detect(), in the whole picture and in overlapping tiles along its longer edge. Of an object that
// several looks have there is one box; parts of it on both sides of a seam are joined. Thread-safe.
Result<std::vector<DetectedObject>> detect_in_tiles(const ObjectDetector& detector, const ImageView& picture,
                                                    std::uint32_t full_width, std::uint32_t full_height);

// Objects found in parts of a picture, as one list, best first. Exposed for tests.
struct TileObject {
  DetectedObject object;  // in pixels of the whole picture
  std::size_t tile = 0;   // which part it was found in
  bool is_cut = false;    // it touches an edge of its part that is not one of the picture
};
std::vector<DetectedObject> merged(std::vector<TileObject> found);

}  // namespace image_engine::vision
