// From a matte to single subjects, and what a detector calls them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "types/box.h"
#include "vision/masks.h"
#include "vision/objects.h"
#include "vision/segmenter.h"

namespace image_engine::pipeline {

inline constexpr std::size_t kMostSubjects = 100;

// The connected parts of the places with an alpha of at least 0.5, those of at least 0.1 % of all places, the largest
// first, at most kMostSubjects.
std::vector<vision::MaskPart> subject_parts(const vision::Matte& matte);

// Of the objects the one whose box has the greatest IoU with `box`, if that is above 0.4; else null.
const vision::DetectedObject* object_at(const Box& box, std::span<const vision::DetectedObject> objects);

}  // namespace image_engine::pipeline
