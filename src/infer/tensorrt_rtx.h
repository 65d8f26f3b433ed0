// NVIDIA's ONNX Runtime plugin for TensorRT for RTX: RTX 30, 40 and 50 GPUs.
#pragma once

#include "infer/onnx_runtime.h"
#include "infer/tensorrt.h"

namespace image_engine::infer {

// Loads it from $IMAGE_ENGINE_TENSORRT_RTX, its file or folder, else from where `make setup GPU=1` put it. kNotFound:
// it, or a library beside it, is missing; kUnsupported: it offers no GPU here. The result is cached.
Status check_rtx_plugin();

// Appends it for one GPU. Throws Ort::Exception, also where check_rtx_plugin() fails or the GPU is not offered.
void append_rtx_plugin(Ort::SessionOptions& theirs, int device, const ProviderOptions& options);

}  // namespace image_engine::infer
