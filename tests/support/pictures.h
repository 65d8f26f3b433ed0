// Small files of pictures.
#pragma once

#include <string>

namespace image_engine {

// A BMP of 2 × 1 pixels, red and blue.
inline std::string tiny_bmp() {
  const unsigned char bytes[] = {'B', 'M', 62, 0, 0, 0, 0, 0,  0, 0, 54, 0, 0, 0, 40,  0,   0, 0, 2, 0, 0,
                                 0,   1,   0,  0, 0, 1, 0, 24, 0, 0, 0,  0, 0, 8, 0,   0,   0, 0, 0, 0, 0,
                                 0,   0,   0,  0, 0, 0, 0, 0,  0, 0, 0,  0, 0, 0, 255, 255, 0, 0, 0, 0};
  return {reinterpret_cast<const char*>(bytes), sizeof bytes};
}

}  // namespace image_engine
