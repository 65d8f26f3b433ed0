// Where a plan places a picture.
#pragma once

#include <cstdint>

#include "preprocess/plan.h"
#include "preprocess/resample.h"

namespace image_engine::preprocess {

struct PictureEdges {
  std::uint64_t width = 0, height = 0;
};

// The destination of the computed part of the resized picture.
struct Geometry {
  InputSize input;
  Resampler::Part part;
  std::uint32_t left = 0, top = 0;  // of the part in the input
};

// Of a valid plan and an upright picture that is not empty.
Geometry geometry_of(const Plan& plan, const PictureEdges& picture);
// For a picture of these edges, from which the part is computed.
Placement placement_of(const Geometry& geometry, std::uint32_t width, std::uint32_t height);

}  // namespace image_engine::preprocess
