// A part of a video as a file of its own: packets are copied, nothing is decoded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"
#include "media/media.h"
#include "media/write_part.h"
#include "types/clip_format.h"

namespace image_engine::media {

struct CutOptions {
  double from = 0, to = 0;  // seconds of presentation time, from < to
  ClipFormat format = ClipFormat::kMp4;
  bool is_mapped = false;  // the bytes are a mapped file's (Demuxer::open())
};

struct VideoCut {
  double from = 0, to = 0;                              // that players show, seconds of the source's presentation time
  double key_frame = 0;                                 // where what was copied begins, at or before `from`
  std::vector<std::string> video_codecs, audio_codecs;  // of each stream
  std::vector<std::string> warnings;                    // for a person
};

// Copies the video and sound streams from the key frame at or before `from` on. Where the container has an edit list,
// players begin with the frame that is shown at `from` and end at `to`; in the others with the key frame, and some
// frames later. A part that goes past the end ends there. Turns, mirrors, colours, titles and the place are kept; times
// of recording are those of the part. The result depends on nothing else. Errors: kUnsupported (no video; nothing is
// shown at `from`; the container cannot hold a stream; it has no times), kCorrupt, kOutOfMemory.
Result<VideoCut> cut_video(Bytes file, const CutOptions& options, const WritePart& write);

}  // namespace image_engine::media
