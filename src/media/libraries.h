// Initializes the libraries and returns their versions; each function is in the library's adapter.
#pragma once

#include <string>

#include "core/result.h"

namespace image_engine::media {

// Loads libvips' modules, allows only the loaders that decode_vips() uses, and silences its log.
Status init_vips(int threads);
// Initializes exiv2's XMP support.
Status init_tags();
// Silences FFmpeg.
void init_video();

std::string vips_version();
std::string exiv2_version();
std::string ffmpeg_version();
std::string jpeg_version();
std::string lcms_version();
std::string libraw_version();

}  // namespace image_engine::media
