// What ONNX Runtime's two TensorRT providers are told. Nothing here loads them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "infer/session.h"

namespace image_engine::infer {

// Names and values, in the order in which they are documented.
using ProviderOptions = std::vector<std::pair<std::string, std::string>>;
// How providers want to be told a truth value.
inline const char* flag(bool value) { return value ? "1" : "0"; }

// Of ONNX Runtime 1.31's TensorRT provider and of NVIDIA's plugin for RTX GPUs 0.5, which takes precisions from the
// graph alone. `inputs` are the model's, with options.fixed_dimensions in place (−1: any). When a batch is the only
// side that is free, its range is told, and the engine is built as the model is loaded; else ranges are left out, and
// engines are built at the runs that need them. Without options.tensorrt its defaults hold.
ProviderOptions tensorrt_provider_options(const SessionOptions& options, std::span<const TensorInfo> inputs);
ProviderOptions rtx_provider_options(const SessionOptions& options, std::span<const TensorInfo> inputs);

// Whether an engine can be built so. kInvalidArgument: a precision that is not built (int4, bf16 and fp8 with the
// reason), a range of batches that is none, no workspace.
Status check_tensorrt_options(const TensorRtOptions& options);
// kUnsupported names the first input with a free side that is no batch, and what to do.
Status check_engine_inputs(std::span<const TensorInfo> inputs);

// Largest and best batch of a model's engine when nothing is said, by the name of its file: detection transformers take
// much memory a picture.
struct BatchDefaults {
  std::int64_t most, best;
};
BatchDefaults default_batches(std::string_view model_file);

}  // namespace image_engine::infer
