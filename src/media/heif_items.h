// The metadata items of a HEIF or AVIF file (ISO/IEC 23008-12; boxes of ISO/IEC 14496-12, 8.11).
#pragma once

#include <optional>

#include "media/colour_code.h"
#include "media/media.h"

namespace image_engine::media {

struct HeifItems {
  Bytes exif;  // a TIFF
  Bytes xmp;   // a packet
};

// Items stored in one piece in the file or in its idat box; missing, broken and split items stay empty.
HeifItems find_heif_items(Bytes file);

// The primary item's colours by its `nclx` colour information; nullopt: it states none.
std::optional<ColourCode> heif_colour_code(Bytes file);

// Whether a derived item (a grid, an overlay) contains itself, directly or indirectly: libheif 1.15 never finishes with
// such files. Also true for derivations nested more than 64 deep.
bool heif_contains_itself(Bytes file);

}  // namespace image_engine::media
