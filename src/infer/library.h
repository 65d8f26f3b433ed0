// Finds the inference runtime's shared library, and that of our operators for it.
#pragma once

#include <string>

#include "core/result.h"

namespace image_engine::infer {

// The dlopen handle of ONNX Runtime, never closed. Only $IMAGE_ENGINE_ONNXRUNTIME if set; otherwise the first that
// exists of <program's folder>/../lib/libonnxruntime.so.1 (installed), <program's folder>/../../onnxruntime-gpu/lib and
// …/onnxruntime/lib (build tree; the former comes from `make setup GPU=1`) and the system loader's. kNotFound names the
// remedy.
Result<void*> load_runtime_library();

// The library of our operators (graph/chains.h), which has kernels for CUDA and the CPU: $IMAGE_ENGINE_GPU_OPS if set;
// otherwise libimage-engine-gpu-ops.so beside the running program or in its ../lib. Empty where there is none.
std::string operators_library();
// What tells it from another one: its size and time. Empty where there is none.
std::string operators_identity();

}  // namespace image_engine::infer
