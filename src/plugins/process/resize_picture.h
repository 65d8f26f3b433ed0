// IE_EXT_RESIZE.
#pragma once

#include <image_engine/plugin.h>

namespace image_engine::plugins {

// Fills `to` with `from`, of the same format, scaled to its size: as Pillow's Image.resize(LANCZOS), each channel by
// itself, alpha too. Thread-safe.
void resize_picture(const ie_picture& from, const ie_picture& to);

}  // namespace image_engine::plugins
