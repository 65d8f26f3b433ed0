// Files with the names of a model's classes.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

// The labels in the order of the classes: one a line, or of a `.csv` file the column `display_name`, in the order of
// its column `index`, which counts from 0 (AudioSet's class_labels_indices.csv, YAMNet's yamnet_class_map.csv). Errors:
// kInvalidArgument; the message continues "FILE, which": "is not UTF-8". Thread-safe.
Result<std::vector<std::string>> read_label_file(const std::string& path);

}  // namespace image_engine::models
