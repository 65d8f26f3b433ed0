// Results of the checks of `doctor` and `nvidia check`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/app.h"

namespace image_engine::cli {

// One line: what was checked, the result, the remedy if it is not well.
struct Finding {
  std::string what, found;
  bool well = true;
  std::string advice;
};

// [{what, found, well, advice}]
nlohmann::json findings_json(const std::vector<Finding>& findings);
void print_findings(const Context& context, const std::vector<Finding>& findings);

}  // namespace image_engine::cli
