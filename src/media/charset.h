// Text files in any of the usual character sets.
#pragma once

#include <string>

#include "media/media.h"

namespace image_engine::media {

// As UTF-8 without a byte-order mark: what is marked as UTF-8 or UTF-16, or is seen to be one of these; else
// Windows-1252. NUL is left out; what is no character of its set becomes U+FFFD.
std::string utf8_of_text_file(Bytes file);

}  // namespace image_engine::media
