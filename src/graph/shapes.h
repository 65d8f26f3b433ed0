// The types and shapes of a graph's tensors, as an inference runtime infers them.
#pragma once

#include <onnx/onnx.pb.h>

#include <vector>

#include "core/result.h"
#include "graph/runtime.h"

namespace image_engine::graph {

// The same graph with its large weights as inputs, so that it is small and quick to load. What they determine is no
// longer constant.
onnx::ModelProto without_weights(const onnx::ModelProto& model);

// The facts of all inputs and of each node's outputs. A dimension that follows free ones of the inputs gets a name that
// all those of the same size have; found by inferring at two sets of sizes. `renames`: also those of tensors that are
// folded away at known sizes, for which the runtime has other names. Errors: those of runtime.infer().
Result<std::vector<TensorFacts>> infer_shapes(const onnx::ModelProto& model, const Runtime& runtime,
                                              bool renames = false);

}  // namespace image_engine::graph
