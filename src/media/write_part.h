// How a file that is made reaches its receiver.
#pragma once

#include <cstdint>
#include <functional>

#include "media/media.h"

namespace image_engine::media {

// Receives the bytes of the file that are to stand at `position`. Positions go back: headers are completed at the end.
using WritePart = std::function<void(std::uint64_t position, Bytes bytes)>;

}  // namespace image_engine::media
