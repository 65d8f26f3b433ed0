// NVIDIA's plugin for ONNX Runtime that runs TensorRT for RTX: RTX 30, 40 and 50 GPUs.
#pragma once

#include "infer/onnx_runtime.h"
#include "infer/tensorrt.h"

namespace image_engine::infer {

// Loads it: $IMAGE_ENGINE_TENSORRT_RTX, its file or folder, or else what `make setup GPU=1` fetched. kNotFound: it, or
// a library that lies beside it, is not there; kUnsupported: it offers no GPU here. Found once and kept.
Status check_rtx_plugin();

// Appends it for one GPU. Throws Ort::Exception, also where check_rtx_plugin() fails or the GPU is not offered.
void append_rtx_plugin(Ort::SessionOptions& theirs, int device, const ProviderOptions& options);

}  // namespace image_engine::infer
