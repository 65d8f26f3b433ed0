// Tags in a JPEG XL file (ISO/IEC 18181-2, 9): boxes `Exif` and `xml `, plain or compressed in `brob`, before or behind
// the picture.
#pragma once

#include "media/tag_blocks.h"

namespace image_engine::media {

// None in a bare code stream, which has no boxes. A box that is not whole, or that cannot be decompressed to at most
// 16 MB, is skipped.
TagBlocks jxl_blocks(Bytes file);

}  // namespace image_engine::media
