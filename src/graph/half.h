// Half precision for a graph. What needs the range or the digits of float32 keeps them.
#pragma once

#include <string>
#include <vector>

#include "graph/net.h"

namespace image_engine::graph {

// Changes the graph's float32 tensors to float16. `io_too`: its inputs and outputs, too. Returns the operators that
// stay in float32, sorted.
std::vector<std::string> to_half(Net& net, bool io_too);

}  // namespace image_engine::graph
