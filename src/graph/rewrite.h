// Rewrites an ONNX graph for a GPU: shape arithmetic folded, transformers fused, in half precision where that is exact
// enough (docs/adr/0007-graphs-for-gpus.md). tools/models/optimise.py is its reference.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "graph/runtime.h"

namespace image_engine::graph {

// Changes with every change of what is made of a model.
inline constexpr int kMakerVersion = 1;

// How an attention's queries, keys and values are made: three products, one that the kernel splits, or one inside the
// operator.
enum class Qkv : std::uint8_t { kSeparate, kPacked, kJoined };

// Whether elementwise nodes become nodes of an operator of ours (chains.h), for a runtime that has it, and how those
// behind convolutions compute. kChannelsLast is for a runtime that gives convolutions that layout, too.
enum class Chains : std::uint8_t { kNone, kChannelsFirst, kChannelsLast };

struct RewriteOptions {
  std::string precision = "fp16";  // fp32, fp16
  std::int64_t batch = 0;          // fixes the first dimension of every input; 0: unchanged
  std::vector<std::pair<std::string, std::int64_t>> dimensions;  // fixes these named ones
  bool half_io = false;                                          // inputs and outputs in float16, too
  bool onnx_only = false;                                        // for TensorRT: only ONNX's own operators
  Qkv qkv = Qkv::kJoined;
  bool patches_as_product = true;
  Chains chains = Chains::kNone;
};

struct Rewritten {
  std::map<std::string, int> fused;    // places by rewrite
  std::vector<std::string> kept_fp32;  // operators that stay in float32
  int nodes = 0;
};

// Reads `source`, whose external data the caller has checked, and writes the rewritten model to `target`, beside it
// first and then renamed. Names of inputs and outputs stay. What is not known is only folded, and in float16 where
// asked for. Holds the model about three times in memory. Errors: kInvalidArgument (a dimension that is not there, or
// another than the file has), those of load_model(), the runtime's and those of writing. Thread-safe.
Result<Rewritten> rewrite_graph(const std::string& source, const std::string& target, const RewriteOptions& options,
                                const Runtime& runtime);

}  // namespace image_engine::graph
