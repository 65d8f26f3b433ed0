// A decoded frame of sound as floats.
#pragma once

#include <cstdint>
#include <vector>

#include "media/ffmpeg.h"

namespace image_engine::media {

// The frame's samples from -1 to 1, channels interleaved, whatever its format. NaN and infinity become 0, and what is
// far beyond full scale is cut to 16, so that no filter is spoiled by it. False for a format that is not known.
bool to_floats(const AVFrame& frame, std::vector<float>& samples);

// The least values that count as full scale, above and below 0, as of to_floats(). Lossy formats have more: 1.
struct FullScale {
  float above = 1, below = -1;
};
FullScale full_scale_of(AVSampleFormat format, int bits);  // bits: of the original samples; 0: those of the format

}  // namespace image_engine::media
