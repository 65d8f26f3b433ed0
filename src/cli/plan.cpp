#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/text.h"
#include "models/install_paths.h"
#include "pipeline/plan.h"

namespace image_engine::cli {
namespace {

using nlohmann::json;
using pipeline::Plan;

constexpr char kPlanExamples[] = R"(
Examples:
  image-engine plan ~/Pictures
  image-engine plan /mnt/photos --config nvidia        (with requests to cloud models)
  image-engine benchmark photos ~/Pictures/2025 && image-engine plan ~/Pictures

Nothing is analyzed, sent or written. Times come from the rates that the last benchmark photos measured on this machine
with the same settings; without it, and for videos and sound, they are a guess.)";

struct PlanFlags {
  std::vector<std::string> paths;
  ModelFlags models;
};

json kinds_json(const Plan& plan) {
  json kinds = json::array();
  for (const pipeline::PlannedFiles& files : plan.kinds)
    kinds.push_back({{"kind", kind_name(files.kind)},
                     {"files", files.files},
                     {"bytes", files.bytes},
                     {"analyzed", files.analyzed},
                     {"failed", files.failed},
                     {"due", files.due()},
                     {"due_bytes", files.due_bytes}});
  return kinds;
}

json stages_json(const Plan& plan) {
  json stages = json::array();
  for (const pipeline::PlannedStage& stage : plan.stages)
    stages.push_back({{"stage", stage.name},
                      {"files", stage.files},
                      {"seconds", rounded(stage.seconds, 3)},
                      {"basis", stage.measured ? "measured" : "guess"}});
  return stages;
}

json rates_json(const Plan& plan) {
  if (!plan.rates) return {};
  return {{"headers_per_second", rounded(plan.rates->headers, 3)},
          {"content_per_second", rounded(plan.rates->content, 3)},
          {"photo_bytes", rounded(plan.rates->photo_bytes, 0)},
          {"photos", plan.rates->photos},
          {"when", plan.rates->when}};
}

json cloud_calls_json(const Plan& plan) {
  if (!plan.cloud) return {};
  return {{"stages", plan.cloud->endpoints},
          {"requests", plan.cloud->requests},
          {"limit", plan.cloud->limit > 0 ? json(plan.cloud->limit) : json()},
          {"requests_per_minute", plan.cloud->requests_per_minute},
          {"frames", plan.cloud->frames}};
}

json plan_json(const Plan& plan) {
  return {{"kinds", kinds_json(plan)}, {"skipped", plan.skipped},     {"excluded", plan.excluded},
          {"problems", plan.problems}, {"stages", stages_json(plan)}, {"seconds", rounded(plan.seconds, 3)},
          {"rates", rates_json(plan)}, {"limit", plan.limit},         {"cloud", cloud_calls_json(plan)}};
}

void print_files(const Plan& plan) {
  std::vector<std::vector<std::string>> rows = {{"", "files", "bytes", "analyzed", "failed", "to do"}};
  for (const pipeline::PlannedFiles& files : plan.kinds)
    rows.push_back({std::string(kind_name(files.kind)), human_count(files.files), human_bytes(files.bytes),
                    human_count(files.analyzed), human_count(files.failed), human_count(files.due())});
  print_table(rows, {1, 2, 3, 4, 5});
  print_line(fmt::format("{} skipped, {} excluded by patterns", human_count(plan.skipped, "other file"),
                         human_count(plan.excluded, "file")));
  if (plan.problems > 0)
    print_line(human_count(plan.problems, "file or folder", "files or folders") + " cannot be read");
}

void print_cloud_calls(const pipeline::PlannedCloud& cloud) {
  print_line(fmt::format("Cloud models ({}): at most {} for photos, {} a minute; {}", fmt::join(cloud.endpoints, ", "),
                         human_count(cloud.requests, "request"), human_count(cloud.requests_per_minute),
                         cloud.limit > 0
                             ? fmt::format("this run stops at {} (nvidia_build.max_requests)", human_count(cloud.limit))
                             : "no limit is set (nvidia_build.max_requests)"));
  if (cloud.frames) print_line("  and frames of videos: how many is known once they are analyzed");
}

void print_made_plan(const Plan& plan) {
  print_files(plan);
  print_line("");
  if (!plan.stages.empty()) {
    std::vector<std::vector<std::string>> rows = {{"stage", "files", "time", "by"}};
    for (const pipeline::PlannedStage& stage : plan.stages)
      rows.push_back({stage.name, human_count(stage.files), human_duration(stage.seconds),
                      stage.measured ? "measured rate" : "a guess"});
    print_table(rows, {1, 2});
    print_line("");
  }
  print_line("What holds it back: " + plan.limit);
  if (plan.cloud) print_cloud_calls(*plan.cloud);
  if (plan.stages.empty()) return;
  print_line(fmt::format("About {} in all", human_duration(plan.seconds)));
  print_line(plan.rates ? fmt::format("  by {:.1f} photos/s, measured on {} on this machine at {}", plan.rates->content,
                                      human_count(plan.rates->photos, "photo"), plan.rates->when)
                        : "  which is a guess: image-engine benchmark photos DIR measures this machine");
}

Result<int> plan_analysis(const PlanFlags& flags, const Context& context) {
  IE_CHECK(catch_interrupts());
  pipeline::PlanOptions options;
  options.catalogue = context.catalogue;
  for (const std::string& path : flags.paths) options.paths.push_back(absolute_path(path));
  options.config = context.config;
  options.models = models::find_install_paths(context.config.models.folder);
  options.progress = !context.quiet;
  options.stop = interruption();
  IE_TRY(const Plan plan, pipeline::make_plan(options));
  if (context.json)
    print_json("plan", plan_json(plan));
  else if (!context.quiet)
    print_made_plan(plan);
  return kDone;
}

}  // namespace

Action setup_plan(Arguments app, Settings& settings) {
  auto flags = std::make_shared<PlanFlags>();
  app.add_option("PATH", flags->paths, "Folders and files").required();
  add_model_flags(app, flags->models);
  app.footer(kPlanExamples);
  app.once_parsed([flags, &settings] { put_model_settings(flags->models, settings); });
  return [flags](Context& context) -> Result<int> { return plan_analysis(*flags, context); };
}

}  // namespace image_engine::cli
