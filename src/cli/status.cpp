#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/output.h"
#include "core/text.h"
#include "models/install_paths.h"
#include "pipeline/current_stages.h"

namespace image_engine::cli {
namespace {

using Counts = std::map<std::string, std::int64_t>;

nlohmann::json stage_json(const store::CatalogueStatus::StageCount& stage) {
  nlohmann::json out = {{"stage", stage.key.stage},
                        {"version", stage.key.version},
                        {"records", stage.records},
                        {"stale", stage.stale > 0}};
  if (stage.stale > 0) out["stale_records"] = stage.stale;
  if (!stage.key.model.empty()) out["model"] = stage.key.model;
  if (!stage.key.params.empty()) out["params"] = stage.key.params;
  return out;
}

nlohmann::json space_json(const store::Space& space) {
  nlohmann::json out = {{"stage", space.key.stage},       {"model", space.key.model}, {"version", space.key.version},
                        {"dimensions", space.dimensions}, {"vectors", space.vectors}, {"active", space.active}};
  if (!space.key.params.empty()) out["params"] = space.key.params;
  return out;
}

nlohmann::json run_json(const store::Run& run) {
  nlohmann::json out = {{"command", run.command}, {"started", run.started}, {"counts", run.counts}};
  out["finished"] = run.finished.empty() ? nlohmann::json() : nlohmann::json(run.finished);
  out["exit_code"] = run.exit_code ? nlohmann::json(*run.exit_code) : nlohmann::json();
  return out;
}

nlohmann::json status_json(const Context& context, const store::CatalogueStatus& status) {
  nlohmann::json out = {{"catalog", to_utf8(context.catalogue)},
                        {"size_bytes", status.size_bytes},
                        {"schema_version", status.schema_version},
                        {"assets", status.assets},
                        {"media_bytes", status.media_bytes},
                        {"waiting", status.unhashed_files},
                        {"kinds", status.by_kind},
                        {"formats", status.by_format},
                        {"files", status.by_state},
                        {"failures", status.failures},
                        {"runs", status.runs}};
  out["stages"] = nlohmann::json::array();
  for (const auto& stage : status.stages) out["stages"].push_back(stage_json(stage));
  out["spaces"] = nlohmann::json::array();
  for (const store::Space& space : status.spaces) out["spaces"].push_back(space_json(space));
  out["roots"] = nlohmann::json::array();
  for (const std::string& root : status.roots) out["roots"].push_back(to_utf8(root));
  out["last_run"] = status.last_run ? run_json(*status.last_run) : nlohmann::json();
  return out;
}

std::string counted(const Counts& counts) {
  std::string text;
  for (const auto& [name, count] : counts)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", human_count(static_cast<std::uint64_t>(count)), name);
  return text.empty() ? "none" : text;
}

std::string run_text(const store::Run& run) {
  if (run.finished.empty()) return fmt::format("{} since {}: running, or it was killed", run.command, run.started);
  return fmt::format("{} finished {}, exit code {}", run.command, run.finished, run.exit_code.value_or(0));
}

std::string stale_text(const store::CatalogueStatus::StageCount& stage) {
  if (stage.stale == 0) return "";
  return fmt::format(" ({} stale: analyze renews them)",
                     stage.stale == stage.records ? "all" : human_count(static_cast<std::uint64_t>(stage.stale)));
}

void print_status(const Context& context, const store::CatalogueStatus& status) {
  std::vector<std::vector<std::string>> rows = {
      {"catalogue", fmt::format("{} ({})", printable(context.catalogue),
                                human_bytes(static_cast<std::uint64_t>(status.size_bytes)))},
      {"assets",
       fmt::format("{} ({})", human_count(static_cast<std::uint64_t>(status.assets)), counted(status.by_kind))},
      {"files",
       fmt::format("{}, {}", counted(status.by_state), human_bytes(static_cast<std::uint64_t>(status.media_bytes)))},
      {"formats", counted(status.by_format)}};
  for (const std::string& root : status.roots) rows.push_back({"folder", printable(root)});
  for (const auto& stage : status.stages)
    rows.push_back({"stage", fmt::format("{} {}{}: {}{}", stage.key.stage,
                                         stage.key.model.empty() ? "" : stage.key.model + " ", stage.key.version,
                                         human_count(static_cast<std::uint64_t>(stage.records)), stale_text(stage))});
  for (const store::Space& space : status.spaces)
    rows.push_back({"vectors", fmt::format("{} {} {}: {}{}", space.key.stage, space.key.model, space.key.version,
                                           human_count(static_cast<std::uint64_t>(space.vectors)),
                                           space.active ? "" : " (search does not use them yet)")});
  if (status.unhashed_files > 0)
    rows.push_back({"waiting", fmt::format("{}: image-engine analyze continues with them",
                                           human_count(static_cast<std::uint64_t>(status.unhashed_files), "file"))});
  rows.push_back({"failures", counted(status.failures)});
  if (status.last_run) rows.push_back({"last run", run_text(*status.last_run)});
  print_table(rows);
}

}  // namespace

Action setup_status(Arguments app, Settings&) {
  app.footer("\nExamples:\n  image-engine status\n  image-engine status --json | jq .failures");
  return [](Context& context) -> Result<int> {
    IE_TRY(const store::CatalogueReader reader, open_reader(context));
    IE_TRY(const store::CurrentStages current,
           pipeline::current_stages(reader, models::find_install_paths(context.config.models.folder), context.config));
    IE_TRY(const store::CatalogueStatus status, reader.status(current));
    context.json ? print_json("status", status_json(context, status)) : print_status(context, status);
    return kDone;
  };
}

}  // namespace image_engine::cli
