// How many pictures a model takes in one run, as it was measured on this machine.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"
#include "core/result.h"
#include "models/spec.h"
#include "models/store.h"

namespace image_engine::pipeline {

// What keep_batch() kept for the model on the GPUs of this machine; 0: nothing, or there is no GPU. Thread-safe.
std::int64_t kept_batch(const models::Spec& spec, const models::Store& store, const Config& config);

// Keeps `batch` pictures in a run, and why, for this model, these GPUs and this configuration of inference. Errors: of
// ONNX Runtime that cannot be loaded, and of writing below the cache folder. Thread-safe.
Status keep_batch(const models::Spec& spec, const models::Store& store, const Config& config, std::int64_t batch,
                  const std::string& reason);

}  // namespace image_engine::pipeline
