// Products with constant weights, and factors before them.
#pragma once

#include <string>
#include <vector>

#include "graph/net.h"

namespace image_engine::graph {

struct Scaled {
  std::string name;
  double scale = 1;
};
// Above a single product or quotient with a number that nothing else needs: its operand, and `scale` times the number.
Scaled through_factor(const Net& net, const std::string& name, double scale);

}  // namespace image_engine::graph
