// Spaces that a model of text recognition leaves out.
#pragma once

#include "types/image.h"
#include "vision/text_characters.h"

namespace image_engine::vision {

// Adds a space between Latin letters and digits where the line's columns show a gap like that between words: without
// ink, much wider than the gaps between most letters, and wider than the letters themselves would explain, as in type
// of one width. `line`: upright; the glyphs' centres are its columns.
void add_spaces(const ImageView& line, Decoded& decoded);

}  // namespace image_engine::vision
