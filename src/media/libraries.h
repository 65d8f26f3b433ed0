// Starting the libraries and naming their versions, each in the adapter that owns the library.
#pragma once

#include <string>

#include "core/result.h"

namespace image_engine::media {

// Loads libvips' modules, allows the loaders that decode_vips() uses and no others, and silences its log.
Status init_vips(int threads);
// Starts exiv2's XMP part.
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
