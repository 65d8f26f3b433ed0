// Checks of a spec that involve several keys.
#pragma once

#include "core/result.h"
#include "models/spec.h"

namespace image_engine::models {

// With `complete`, also checks that it has everything needed to install it. Errors: kInvalidArgument; the message
// continues the spec's name: "has two files a.onnx".
Status check_spec(const Spec& spec, bool complete);

}  // namespace image_engine::models
