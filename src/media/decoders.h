// The decoders behind decode(), one per library. Each is safe on any bytes and from any thread. Pictures are as stored,
// not upright, unless the library turns them; options.orientation is decode()'s.
#pragma once

#include <cstdint>
#include <string>

#include "media/jpeg_segments.h"
#include "media/media.h"
#include "media/resize.h"

namespace image_engine::media {

Result<Decoded> decode_jpeg(Bytes file, const DecodeOptions& options);
Result<Decoded> decode_bmp(Bytes file, const DecodeOptions& options);
// Uses the loader that the format's row names.
Result<Decoded> decode_vips(Bytes file, const DecodeOptions& options);
Result<Decoded> decode_raw(Bytes file, const DecodeOptions& options);
// The frame shown at options.at; kUnsupported without a time.
Result<Decoded> decode_video_frame(Bytes file, const DecodeOptions& options);

// A JPEG whose colour profile comes from elsewhere, such as a raw file's preview.
Result<Decoded> decode_jpeg(Bytes file, const DecodeOptions& options, Bytes icc);

// kTooLarge over options.max_pixels, kCorrupt without any.
Status check_size(Size full, const DecodeOptions& options);

// Converts the resized picture by its profile if needs_transform(); an unusable profile causes a warning.
void to_srgb(Decoded& decoded, Bytes icc);

}  // namespace image_engine::media
