// The options of ONNX Runtime's two TensorRT providers. Nothing here loads them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "infer/session.h"

namespace image_engine::infer {

// Names and values, in documented order.
using ProviderOptions = std::vector<std::pair<std::string, std::string>>;
// A boolean option's value.
inline const char* flag(bool value) { return value ? "1" : "0"; }

// For ONNX Runtime 1.31's TensorRT provider and NVIDIA's plugin 0.5 for RTX GPUs, which takes precisions only from the
// graph. `inputs` are the model's, with options.fixed_dimensions applied (−1: any). If only the batch dimension is
// free, its range is passed, and the engine is built when the model is loaded; else no ranges are passed, and runs
// build engines as needed. Without options.tensorrt its defaults apply.
ProviderOptions tensorrt_provider_options(const SessionOptions& options, std::span<const TensorInfo> inputs);
ProviderOptions rtx_provider_options(const SessionOptions& options, std::span<const TensorInfo> inputs);

// Whether an engine can be built with these options. kInvalidArgument: an unsupported precision (int4, bf16 and fp8
// with the reason), an invalid range of batches, no workspace.
Status check_tensorrt_options(const TensorRtOptions& options);
// kUnsupported names the first input with a free dimension other than the batch, and the remedy.
Status check_engine_inputs(std::span<const TensorInfo> inputs);

// Default largest and best batch of a model's engine, by its file name: detection transformers take much memory per
// picture.
struct BatchDefaults {
  std::int64_t most, best;
};
BatchDefaults default_batches(std::string_view model_file);

}  // namespace image_engine::infer
