// TensorRT engines that somebody built of a model before, and that its spec or the user names.
#pragma once

#include <span>
#include <string>

#include "infer/choose.h"

namespace image_engine::infer {

// The engine for this model: `given`, where its sidecar says that it was built of the model's first variant; else that
// of the spec; "" where there is neither.
std::string engine_of(const models::Spec& spec, const models::Store& store, const std::string& given);

// That the sidecar of `given` names one of these models, as it is installed here. Errors: read_engine_record();
// kNotFound.
Status check_given_engine(const std::string& given, std::span<const models::Spec> specs, const models::Store& store);

// A session of the engine on the GPU of that number, for `batch` pictures in a run; 0: as many as it is best with. Its
// outputs must agree with the CPU's fp32 as the gate of its precision demands. Errors: why TensorRT is not there;
// prebuilt_engine(), Session::create(); kUnsupported: it does not take so many; kInvalidArgument: the gate.
Result<Chosen> choose_engine(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                             const std::string& engine, std::int64_t batch, const MakeCanaries& canaries);

}  // namespace image_engine::infer
