// Writes photos as a model's input, in files for tools/models/quantise.py.
#pragma once

#include <string>

#include "core/config.h"
#include "core/result.h"
#include "infer/session.h"

namespace image_engine::cli {

struct SamplesRequest {
  std::string photos;  // a folder, searched recursively
  std::string model;   // the ONNX file that they are for
  std::string name;    // of the registry's model with the same preprocessing; empty: found by the file's name
  std::vector<infer::TensorInfo> inputs;  // of the model
  std::string folder;                     // for the files: <index>-<input>.npy
};

// At most 128 photos, spread evenly over the folder's. Skips those that cannot be decoded. Errors: kNotFound (the
// folder, or fewer than two photos in it), kInvalidArgument (no such model, or none with the file's name), kUnsupported
// (a model with several inputs), kInterrupted.
Status write_calibration_samples(const SamplesRequest& request, const Config& config);

}  // namespace image_engine::cli
