// The photos that come with the source tree.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace image_engine::pipeline {

// The given folder as an absolute path; "" means the samples of the source tree that this program was built in.
// kNotFound when there is no such tree; the message suggests `option`.
Result<std::string> samples_folder(const std::string& given, std::string_view option);

}  // namespace image_engine::pipeline
