#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/text.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

constexpr char kFailuresExamples[] = R"(
Examples:
  image-engine failures
  image-engine failures ~/Pictures/2019 --json | jq -r '.failures[].path'
  image-engine failures --retry        (otherwise a failed file is retried only after it has changed))";

struct FailuresFlags {
  std::vector<std::string> paths;
  bool retry = false, wait = false, print0 = false;
};

void print_failures(const Context& context, const std::vector<store::Failure>& failures) {
  for (const store::Failure& failure : failures) {
    print_line(printable(failure.path));
    print_line(fmt::format(
        "    {}: {}{}", failure.key.stage, printable(failure.error.message),
        styled(context, Style::kDim,
               fmt::format(" ({}, {}, last {})", error_name(failure.error.code),
                           human_count(static_cast<std::uint64_t>(failure.tries), "try", "tries"), failure.last_at))));
  }
  if (!context.quiet) print_line(fmt::format("{} failed", human_count(failures.size())));
}

}  // namespace

Action setup_failures(Arguments app, Settings&) {
  auto flags = std::make_shared<FailuresFlags>();
  app.add_option("PATH", flags->paths, "Only these files and folders");
  app.add_flag("--retry", flags->retry, "Retry them now");
  app.add_flag("--wait", flags->wait, "With --retry: wait while another analyze is running");
  app.add_flag("--print0", flags->print0, "Only paths, each ended by NUL");
  app.footer(kFailuresExamples);
  return [flags](Context& context) -> Result<int> {
    std::vector<std::string> roots;
    for (const std::string& path : flags->paths) roots.push_back(absolute_path(path));
    std::set<std::string> paths;
    {
      IE_TRY(const store::CatalogueReader reader, open_reader(context));
      IE_TRY(const std::vector<store::Failure> failures, reader.list_failures(roots));
      for (const store::Failure& failure : failures) paths.insert(failure.path);
      if (!flags->retry || failures.empty()) {
        if (context.json) {
          nlohmann::json list = nlohmann::json::array();
          for (const store::Failure& failure : failures) list.push_back(store::failure_json(failure));
          print_json("failures", {{"failures", std::move(list)}});
        } else if (flags->print0) {
          for (const std::string& path : paths) print_path0(path);
        } else {
          print_failures(context, failures);
        }
        return kDone;
      }
    }
    return run_analysis(context, {paths.begin(), paths.end()}, {.retry = true, .wait = flags->wait});
  };
}

}  // namespace image_engine::cli
