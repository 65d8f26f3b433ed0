// A picture as it is sent to a server.
#pragma once

#include <cstdint>
#include <string>

#include "core/hash.h"

namespace image_engine::nvidia {

// The sizes of the sent picture and of the original: pixels, upright.
struct Scale {
  std::uint32_t width = 0, height = 0;
  std::uint32_t full_width = 0, full_height = 0;
};

// What is sent of a picture: a JPEG without metadata.
struct Picture {
  std::string jpeg;  // at most Endpoint::most_bytes
  Scale scale;
  Hash128 content;   // of the original's coded image data: its name in journal and cache. Zero: not stored
  std::string path;  // for sent_log
  // Instead of `jpeg`, for endpoints that fetch it themselves: an https address.
  std::string url = {};
  // Beside `jpeg`, for detection by nvcf: a video of this one frame, as in NVIDIA's sample. Empty: none.
  std::string mp4 = {};
};

}  // namespace image_engine::nvidia
