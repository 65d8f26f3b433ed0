// Graphs made of a model's own for the machine at hand: for GPUs, in halves. They are kept in a cache folder and made
// again when they are not there.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "core/result.h"

namespace image_engine::models {

struct GraphRequest {
  std::string source;      // the model's ONNX file
  std::string precision;   // fp32, fp16
  std::int64_t batch = 0;  // the first dimension of its inputs; 0: left as it is
  std::string folder;      // of all products; made when absent
  std::string tools;       // tools/models
  std::string python;      // as PullOptions::python
  std::stop_token stop;
};

// The file; made by tools/models/optimise.py when it is not there, by one process while others wait. Another source or
// another version of the program makes another file.
// Errors: kNotFound (the source), those of converter_python() and run_script(), kNoSpace.
Result<std::string> made_graph(const GraphRequest& request);

}  // namespace image_engine::models
