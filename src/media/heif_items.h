// The metadata items of a HEIF or AVIF file (ISO/IEC 23008-12; boxes of ISO/IEC 14496-12, 8.11).
#pragma once

#include "media/media.h"

namespace image_engine::media {

struct HeifItems {
  Bytes exif;  // a TIFF
  Bytes xmp;   // a packet
};

// Items stored in one piece in the file or in its idat box; missing, broken and split items stay empty.
HeifItems find_heif_items(Bytes file);

// The transfer function of the primary item (ITU-T H.273, TransferCharacteristics), by its `nclx` colour information;
// 0: it states none.
std::uint16_t heif_transfer(Bytes file);

// Whether a derived item (a grid, an overlay) contains itself, directly or indirectly: libheif 1.15 never finishes with
// such files. Also true for derivations nested more than 64 deep.
bool heif_contains_itself(Bytes file);

}  // namespace image_engine::media
