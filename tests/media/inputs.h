// The files that make_inputs.py made in the build folder, where the tests run.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "media/media.h"
#include "types/image.h"

namespace image_engine::media {

inline constexpr const char* kInputs = "media_inputs";
// Printed when they are not there.
inline constexpr const char* kNoInputs = "no media_inputs/manifest.json: tests/media/make_inputs.py has not run";

using Buffer = std::vector<std::byte>;

// Null without the manifest.
const nlohmann::json& manifest();
Buffer load(const std::string& name, const std::string& folder = kInputs);
Image load_ppm(const std::string& name, const std::string& folder = kInputs);
// The mean of the absolute differences; 255 when the sizes differ.
double mean_difference(const Image& a, const Image& b);

}  // namespace image_engine::media
