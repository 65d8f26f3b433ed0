// How many pictures a model takes in one run, as measured on this machine.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"
#include "core/result.h"
#include "models/spec.h"
#include "models/store.h"

namespace image_engine::pipeline {

// The batch that keep_batch() stored for the model on the GPUs of this machine; 0: none, or there is no GPU.
// Thread-safe.
std::int64_t kept_batch(const models::Spec& spec, const models::Store& store, const Config& config);

// Stores `batch` (pictures in a run) and the reason for this model, these GPUs and this configuration of inference.
// Errors: ONNX Runtime cannot be loaded, writing below the cache folder. Thread-safe.
Status keep_batch(const models::Spec& spec, const models::Store& store, const Config& config, std::int64_t batch,
                  const std::string& reason);

}  // namespace image_engine::pipeline
