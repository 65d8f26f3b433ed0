// Whether the configuration's models and label files are there: an error before any work, and not a note after it.
#pragma once

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"

namespace image_engine::pipeline {

// kInvalidArgument names the key, and the nearest name or the command that installs the model: one that is not known,
// not of that task or not installed (`auto` and `none` name none), a file of labels that cannot be read. Models of
// sound and of scene changes have checks of their own.
Status check_models(const models::InstallPaths& paths, const Config& config);

}  // namespace image_engine::pipeline
