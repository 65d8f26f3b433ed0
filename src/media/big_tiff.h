// BigTIFF, whose tags exiv2 does not read (Adobe's draft: 64-bit offsets and counts).
#pragma once

#include "media/tag_blocks.h"

namespace image_engine::media {

bool is_big_tiff(Bytes file);

// XMP, IPTC and image resources of the first directory; all other tags of it and of its EXIF and GPS directories as a
// classic TIFF. Values of more than 64 KB are left out of that.
TagBlocks big_tiff_blocks(Bytes file);

}  // namespace image_engine::media
