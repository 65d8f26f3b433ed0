// Where the tags of sound files end and their sound begins.
#pragma once

#include "media/media.h"

namespace image_engine::media {

// The part of the file that is sound, which remains the same when its tags are edited: of MP3 and AAC what is between
// ID3v2 and ID3v1, APE or Lyrics3 tags, of FLAC the frames. The whole file for other formats and where nothing else
// would be left.
Bytes without_sound_tags(MediaFormat format, Bytes file);

}  // namespace image_engine::media
