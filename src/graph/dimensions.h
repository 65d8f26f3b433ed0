// Fixing a graph's free dimensions, and what follows from them.
#pragma once

#include <onnx/onnx.pb.h>

#include <cstdint>
#include <map>
#include <string>

#include "core/result.h"
#include "graph/runtime.h"

namespace image_engine::graph {

// Sets the first dimension of all inputs (`batch` 0: none) and named dimensions. kInvalidArgument: a fixed batch that
// is another, or a name that no input has.
Status fix_dimensions(onnx::ModelProto& model, std::int64_t batch, std::map<std::string, std::int64_t> named);

// Raises the version of ONNX's operators to that of LayerNormalization, where the model's operators allow that.
void lift(onnx::ModelProto& model, const Runtime& runtime);

// The model, folded. Errors: those of runtime.fold().
Result<onnx::ModelProto> folded(const onnx::ModelProto& model, const Runtime& runtime);

// Makes the target of each Reshape constant of which at most one number follows the batch: what is the same at two
// batches is constant. The model stays as it is where more than the batch is free.
void make_targets_constant(onnx::ModelProto& model, const Runtime& runtime);

}  // namespace image_engine::graph
