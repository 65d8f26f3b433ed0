// Whether a model of the user's does what its spec says.
#pragma once

#include <string>

#include "core/result.h"
#include "pipeline/installed_models.h"

namespace image_engine::pipeline {

// Loads an installed model on the CPU as its stage would, and runs it: its inputs, outputs, their shapes and the number
// of classes are those of the spec, else the error states both. Returns which of its precisions this machine uses, and
// why, where it has several; or why it cannot be tried, where its graph has operators of another runtime (TensorRT's
// plugins). "" where there is nothing to say.
Result<std::string> check_fit(const InstalledModels& models, const models::Spec& spec);

}  // namespace image_engine::pipeline
