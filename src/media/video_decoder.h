// FFmpeg's decoder of a video stream.
#pragma once

#include <cstdint>

#include "core/result.h"
#include "media/ffmpeg.h"

namespace image_engine::media {

struct VideoDecoderOptions {
  bool key_frames_only = false;
  int threads = 1;
  std::uint64_t max_pixels = 0;  // of a frame
};

// Errors: kUnsupported (no such decoder), kTooLarge (by the stream's header), kCorrupt (it does not accept the header),
// kOutOfMemory.
Result<ffmpeg::CodecContext> open_video_decoder(const AVStream& stream, const VideoDecoderOptions& options);

}  // namespace image_engine::media
