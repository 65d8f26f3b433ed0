// int8 graphs that `models calibrate` made on this machine from the user's photos.
#pragma once

#include <string>

namespace image_engine::models {

// The path of the graph for the model at `source`, whether it exists or not; another or a changed source has another
// path. "" when the source cannot be read. `folder`: of all made graphs (made_graphs.h).
std::string calibrated_path(const std::string& source, const std::string& folder);

// The same if the file exists, else "".
std::string find_calibrated(const std::string& source, const std::string& folder);

}  // namespace image_engine::models
