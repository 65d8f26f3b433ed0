// Photos as a model's input, in files that tools/models/quantise.py reads.
#pragma once

#include <string>

#include "core/config.h"
#include "core/result.h"
#include "infer/session.h"

namespace image_engine::cli {

struct SamplesRequest {
  std::string photos;  // a folder; what lies below counts
  std::string model;   // the ONNX file that they are for
  std::string name;    // of the registry's model whose preprocessing it has; empty: found by its file's name
  std::vector<infer::TensorInfo> inputs;  // of the model
  std::string folder;                     // where the files go: <index>-<input>.npy
};

// At most 128 photos, spread evenly over the folder's. Those that cannot be decoded are passed over. Errors: kNotFound
// (the folder, or fewer than two photos in it), kInvalidArgument (no such model, or none is known by the file's name),
// kUnsupported (a model of several inputs), kInterrupted.
Status write_calibration_samples(const SamplesRequest& request, const Config& config);

}  // namespace image_engine::cli
