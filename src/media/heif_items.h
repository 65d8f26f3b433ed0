// The metadata items of a HEIF or AVIF file (ISO/IEC 23008-12; boxes of ISO/IEC 14496-12, 8.11).
#pragma once

#include "media/media.h"

namespace image_engine::media {

struct HeifItems {
  Bytes exif;  // a TIFF
  Bytes xmp;   // a packet
};

// Items stored in one piece in the file or in its idat box; what is missing, broken or in several pieces stays empty.
HeifItems find_heif_items(Bytes file);

// Whether a derived item (a grid, an overlay) is part of itself, directly or not: libheif 1.15 never ends with
// those. True as well for derivations nested more than 64 deep.
bool heif_contains_itself(Bytes file);

}  // namespace image_engine::media
