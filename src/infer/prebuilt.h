// Prebuilt TensorRT engines of a model, named by its spec or by the user.
#pragma once

#include <span>
#include <string>

#include "infer/choose.h"

namespace image_engine::infer {

// The engine for this model: `given`, if by its sidecar it was built from the model's first variant; else the spec's;
// "" if there is neither.
std::string engine_of(const models::Spec& spec, const models::Store& store, const std::string& given);

// Checks that the sidecar of `given` names one of these models as installed here. Errors: read_engine_record();
// kNotFound.
Status check_given_engine(const std::string& given, std::span<const models::Spec> specs, const models::Store& store);

// A session of the engine on the GPU of `options`, for `batch` pictures in a run; 0: its best batch. Its outputs must
// meet the gate of its precision against the CPU's fp32. Errors: those of check_provider(), prebuilt_engine(),
// Session::create(); kUnsupported: `batch` is too large for it; kInvalidArgument: it fails the gate.
Result<Chosen> choose_engine(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                             const std::string& engine, std::int64_t batch, const MakeCanaries& canaries);

}  // namespace image_engine::infer
