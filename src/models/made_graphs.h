// Graphs converted from a model's own for this machine: for GPUs, in float16. They are cached, and made again when
// missing.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "core/result.h"

namespace image_engine::models {

struct GraphRequest {
  std::string source;      // the model's ONNX file
  std::string precision;   // fp32, fp16
  std::int64_t batch = 0;  // the first dimension of its inputs; 0: unchanged
  std::string folder;      // of all made graphs; created when absent
  std::string tools;       // tools/models
  std::string python;      // as PullOptions::python
  std::stop_token stop;
};

// The graph's path. A missing one is made by tools/models/optimise.py, in one process while others wait. Another source
// or version of the program has another file. Errors: kNotFound (the source), those of converter_python() and
// run_script(), kNoSpace.
Result<std::string> made_graph(const GraphRequest& request);

}  // namespace image_engine::models
