// Finds the inference runtime's shared library.
#pragma once

#include "core/result.h"

namespace image_engine::infer {

// The dlopen handle of ONNX Runtime, never closed. Only $IMAGE_ENGINE_ONNXRUNTIME if set; otherwise the first that
// exists of <program's folder>/../lib/libonnxruntime.so.1 (installed), <program's folder>/../../onnxruntime-gpu/lib and
// …/onnxruntime/lib (build tree; the former comes from `make setup GPU=1`) and the system loader's. kNotFound names the
// remedy.
Result<void*> load_runtime_library();

}  // namespace image_engine::infer
