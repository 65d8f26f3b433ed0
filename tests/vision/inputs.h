// What tests/vision/make_inputs.py has made.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "types/image.h"
#include "types/luma.h"

namespace image_engine::vision {

// build/<preset>/vision_inputs/manifest.json; null where it is missing.
const nlohmann::json& manifest();
// A PPM or PGM (which becomes grey RGB) beside the manifest; empty on any fault.
Image read_picture(const std::string& file);
inline ImageView view(const Image& image) { return {image.width, image.height, image.pixels}; }
LumaStatistics luma_of(const Image& image);

}  // namespace image_engine::vision

// Skips the test when there are no inputs, saying why.
#define NEED_INPUTS()                                   \
  if (::image_engine::vision::manifest().is_null())     \
  GTEST_SKIP() << "no vision_inputs: ctest makes them " \
                  "(vision_inputs)"
