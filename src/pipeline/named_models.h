// The models that the configuration names.
#pragma once

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"

namespace image_engine::pipeline {

// Whether each model that the configuration names can be used, before hours of work without it: kInvalidArgument states
// the key, the nearest name or the command that installs the model. `auto` and `none` name none; models of sound and of
// scene changes have checks of their own.
Status check_named_models(const models::InstallPaths& paths, const Config& config);

}  // namespace image_engine::pipeline
