// The files beside it that an ONNX model says its numbers are in.
#pragma once

#include <string>

#include "core/result.h"

namespace image_engine::infer {

// Checks, before anything else reads the model, that each of them is a regular file in the model's folder or below it,
// also once symbolic links are followed. Reads the file once in pieces, and skips the numbers that are in it. Errors:
// kCorrupt (the place of one is absolute, has "..", leads elsewhere or nowhere; the file is no protobuf), those of
// reading. Thread-safe.
Status check_external_data(const std::string& model);

}  // namespace image_engine::infer
