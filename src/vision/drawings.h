// Tells drawings of flat colours from photos: detectors see objects in drawings that are none.
#pragma once

#include "types/box.h"
#include "types/condensed.h"
#include "types/flat_colours.h"
#include "types/image.h"

namespace image_engine::vision {

// Whether most of the picture is areas of one colour: a drawing, a chart, a screenshot, a logo. Errs towards no:
// drawings with gradients or texture count as photos (docs/accuracy.md). The upright picture, a longer edge of 300 to
// 700 pixels: of larger ones the answer may differ. False for an empty picture. Thread-safe.
bool is_flat_drawing(const ImageView& picture);
// The same of what was made of that picture.
bool is_flat_drawing(const CondensedPicture& picture);

// Where the picture is flat. Thread-safe.
FlatMap flat_map(const ImageView& picture);
// Whether it is inside a box, whose numbers are fractions of the picture: a photo on a flat ground is not. Thread-safe.
bool is_flat_at(const FlatMap& map, const Box& box);

}  // namespace image_engine::vision
