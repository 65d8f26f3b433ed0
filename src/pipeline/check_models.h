// Whether the configuration's models and label files are there: an error before any work, and not a note after it.
#pragma once

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"

namespace image_engine::pipeline {

// kInvalidArgument names the key, and what to do: a model that is not known, not of that task or not installed (`auto`
// and `none` are always allowed), a file of labels that cannot be read.
Status check_models(const models::InstallPaths& paths, const Config& config);

}  // namespace image_engine::pipeline
