// int8 graphs that `models calibrate` made of models on this machine, with its owner's photos.
#pragma once

#include <string>

namespace image_engine::models {

// Where the one of the model at `source` lies, or would: another source, or a renewed one, has another place. "" when
// the source cannot be read. `folder`: of all products (products.h).
std::string calibrated_place(const std::string& source, const std::string& folder);

// The same where it is there, else "".
std::string find_calibrated(const std::string& source, const std::string& folder);

}  // namespace image_engine::models
