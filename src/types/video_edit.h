// How the frames of a video are changed when it is written anew.
#pragma once

#include <cstdint>

namespace image_engine {

// What is put over pixels that are to be hidden: the mean colours of squares, black, or those colours blurred.
enum class HideStyle : std::uint8_t { kMosaic, kSolid, kBlur };

// A part of a frame, in pixels of the upright frame; what lies outside of the frame does not count.
struct HiddenArea {
  float x = 0, y = 0, width = 0, height = 0;
};

// How frames are coded. kAsSource: by the video's own codec, where there is an encoder. The others are of pictures that
// replace the frames: kOpaque: H.264; kVp9Alpha and kProResAlpha: with their transparency.
enum class VideoCoding : std::uint8_t { kAsSource, kOpaque, kVp9Alpha, kProResAlpha };

}  // namespace image_engine
