// The external data files of an ONNX model.
#pragma once

#include <string>

#include "core/result.h"

namespace image_engine::infer {

// Checks that each of them is a regular file in or below the model's folder, even after following symbolic links. Call
// it before anything else reads the model. Reads the model once, in pieces, and skips its embedded tensors. Errors:
// kCorrupt (a location is absolute, contains "..", or leads elsewhere or nowhere; the file is no protobuf), those of
// reading. Thread-safe.
Status check_external_data(const std::string& model);

}  // namespace image_engine::infer
