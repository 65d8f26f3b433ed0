// Whether a recording is all there.
#pragma once

#include <cstdint>

#include "media/media.h"

namespace image_engine::media {

// Bytes that the file lacks by the sizes that its container declares: it was cut off, or is still being copied. 0 also
// where the format declares no size (MPEG-TS, FLV) or the file leaves it open (a live recording). Any bytes are safe.
std::uint64_t missing_bytes(Bytes file, MediaFormat format);

}  // namespace image_engine::media
