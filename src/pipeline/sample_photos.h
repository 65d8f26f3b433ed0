// The photos that come with the sources.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace image_engine::pipeline {

// The folder given, absolute; "" means the samples of the source tree that this program was built in. kNotFound when it
// was built in none: says that `option` names one.
Result<std::string> samples_folder(const std::string& given, std::string_view option);

}  // namespace image_engine::pipeline
