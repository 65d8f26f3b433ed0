// Tags in a GIF (GIF89a).
#pragma once

#include <vector>

#include "media/media.h"

namespace image_engine::media {

// The packets of application extensions "XMP Data" (XMP specification part 3, 1.1.2), wherever they are in the file.
std::vector<Bytes> gif_xmp_packets(Bytes file);

}  // namespace image_engine::media
