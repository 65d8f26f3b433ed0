// `models prepare`: what the first run with a model does otherwise, ahead of it.
#pragma once

#include <string>
#include <vector>

#include "cli/app.h"

namespace image_engine::cli {

// Loads the models that `analyze` would use, or those of them that are named; on a GPU this makes their graphs and
// measures their settings. One that cannot be loaded is reported, and the exit code is kFailed. Errors: kNotFound (none
// is installed, or a named one is not used), kInterrupted.
Result<int> prepare_models(const Context& context, const std::vector<std::string>& names);

}  // namespace image_engine::cli
