// Which of FFmpeg's demuxers reads a file's sound.
#pragma once

#include "media/media.h"

namespace image_engine::media {

// The demuxer's name by the file's first bytes; null: it is no container of sound that is known. Videos are those of
// detect_format(). Any bytes are safe.
const char* sound_demuxer(Bytes file);

}  // namespace image_engine::media
