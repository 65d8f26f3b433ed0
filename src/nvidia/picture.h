// A picture as it goes to a server.
#pragma once

#include <cstdint>
#include <string>

#include "core/hash.h"

namespace image_engine::nvidia {

// The picture as it was sent, and as it is: pixels, upright.
struct Scale {
  std::uint32_t width = 0, height = 0;
  std::uint32_t full_width = 0, full_height = 0;
};

// What is sent of a picture: a JPEG without metadata.
struct Picture {
  std::string jpeg;  // at most Endpoint::most_bytes
  Scale scale;
  Hash128 content;   // of the original's coded image data; names it in the journal and the cache. None: not kept
  std::string path;  // for the log of what left
  // Instead of `jpeg`, for endpoints that fetch it themselves: an https address.
  std::string url = {};
  // Beside `jpeg`, for detection by nvcf: a video of this one frame, which NVIDIA's sample sends. Empty: none.
  std::string mp4 = {};
};

}  // namespace image_engine::nvidia
