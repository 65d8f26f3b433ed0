// Graphs made from a model's own for this machine: for GPUs, in float16. They are cached, and made again when missing.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"

namespace image_engine::infer {

// How chains of elementwise nodes are run: as they are, or as nodes of an operator of ours (graph/chains.h), which
// behind convolutions computes with channels first or last. SessionOptions::own_operators loads the graphs made so.
enum class Chained : std::uint8_t { kNot, kChannelsFirst, kChannelsLast };

struct GraphRequest {
  std::string source;      // the model's ONNX file
  std::string precision;   // fp32, fp16
  std::int64_t batch = 0;  // the first dimension of its inputs; 0: unchanged
  std::string folder;      // of all made graphs; created when absent
  Chained chained = Chained::kNot;
};

// The graph's path. A missing one is made in this process, while other processes wait. Another source or maker
// (graph::kMakerVersion, ONNX Runtime's version) has another file. A model that cannot be rewritten is refused once:
// the reason is kept beside the graphs and returned again. Errors: kNotFound (the source; the library of our
// operators), kNoSpace, kIo, kOutOfMemory, kInterrupted, and what rewrite_graph() and check_external_data() say of the
// model.
Result<std::string> made_graph(const GraphRequest& request);

// Writes the model in float16, with parts in float32, in ONNX's own operators. Errors as made_graph(), and those of
// writing. Thread-safe.
Status make_tensorrt_graph(const std::string& source, const std::string& target);

}  // namespace image_engine::infer
