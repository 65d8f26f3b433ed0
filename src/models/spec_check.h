// What must hold of a spec as a whole, that no single key can tell.
#pragma once

#include "core/result.h"
#include "models/spec.h"

namespace image_engine::models {

// With `complete`, also that it has all that installing it takes. Errors: kInvalidArgument; the message goes on after
// the spec's name: "has two files a.onnx".
Status check_spec(const Spec& spec, bool complete);

}  // namespace image_engine::models
