// Where the inference runtime's shared library is.
#pragma once

#include "core/result.h"

namespace image_engine::infer {

// The dlopen handle of ONNX Runtime, never closed. $IMAGE_ENGINE_ONNXRUNTIME when set, and nothing else then; otherwise
// the first that is there of <program's folder>/../lib/libonnxruntime.so.1 (installed),
// <program's folder>/../../onnxruntime-gpu/lib and …/onnxruntime/lib (build tree; the former is `make setup GPU=1`'s)
// and what the system's loader finds. kNotFound says what to do.
Result<void*> load_runtime_library();

}  // namespace image_engine::infer
