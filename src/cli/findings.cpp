#include "cli/findings.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "core/text.h"

namespace image_engine::cli {

nlohmann::json findings_json(const std::vector<Finding>& findings) {
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& finding : findings)
    list.push_back(
        {{"what", finding.what}, {"found", finding.found}, {"well", finding.well}, {"advice", finding.advice}});
  return list;
}

void print_findings(const Context& context, const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    print_line(fmt::format("{} {:<24} {}",
                           finding.well ? styled(context, Style::kGreen, "✓") : styled(context, Style::kYellow, "!"),
                           finding.what, printable(finding.found)));
    if (!finding.advice.empty())
      print_line(fmt::format("  {:<24} {}", "", styled(context, Style::kDim, printable(finding.advice))));
  }
}

}  // namespace image_engine::cli
