// Reading a model's file.
#pragma once

#include <onnx/onnx.pb.h>

#include <string>

#include "core/result.h"

namespace image_engine::graph {

// The model with its external data inside. The caller has checked where that lies. Errors: kNotFound, kIo, kCorrupt (no
// ONNX model; external data that is too short), kTooLarge (over 2 GB: no ONNX file can hold it). Thread-safe.
Result<onnx::ModelProto> load_model(const std::string& path);
// kCorrupt: the bytes are no ONNX model; `name` is for the message.
Result<onnx::ModelProto> parse_model(std::string_view bytes, const std::string& name);

}  // namespace image_engine::graph
