// What of a TIFF's directories decides which picture is shown (TIFF 6.0; BigTIFF).
#pragma once

#include "media/media.h"

namespace image_engine::media {

// The number of the page to show: the first that is neither a reduced copy nor a mask; 0 where all are.
int shown_page(Bytes tiff);

// The whole JPEG file that a TIFF with compression 6 ("old-style JPEG", TIFF 6.0, section 22) points to; empty for all
// others, and where there are only parts of one. Of a classic TIFF's first page.
Bytes old_style_jpeg(Bytes tiff);

}  // namespace image_engine::media
