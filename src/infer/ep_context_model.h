// The ONNX model by which ONNX Runtime loads a serialised TensorRT engine: one node that names the engine's file.
#pragma once

#include <span>
#include <string>

#include "infer/session.h"

namespace image_engine::infer {

struct EpContext {
  std::string engine;                  // the file's name; it must be beside the model
  std::string source;                  // ONNX Runtime's name of the provider that built it
  std::string compute_capability;      // "75"; the provider warns on a GPU with another
  std::span<const TensorInfo> inputs;  // −1: any
  std::span<const TensorInfo> outputs;
};

// The model's bytes: ONNX IR version 8, operator EPContext of the domain com.microsoft, embed_mode 0. kInvalidArgument:
// the engine's name is a path (the provider refuses absolute paths and "..").
Result<std::string> ep_context_model(const EpContext& context);

}  // namespace image_engine::infer
