#include "cli/models_prepare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "core/progress.h"
#include "core/text.h"
#include "models/install_paths.h"
#include "pipeline/installed_models.h"
#include "pipeline/model_stages.h"

namespace image_engine::cli {
namespace {

using pipeline::PictureStage;

struct PreparedModel {
  PictureStage stage;
  Status state;
};

Status check_prepared_names(const std::vector<std::string>& names, const std::vector<PictureStage>& stages) {
  std::vector<std::string> used;
  for (const PictureStage& stage : stages) used.push_back(stage.key.model);
  if (used.empty())
    return fail(ErrorCode::kNotFound, "no model that analyzes pictures is installed: image-engine models pull");
  for (const std::string& name : names)
    if (std::ranges::find(used, name) == used.end())
      return fail(ErrorCode::kNotFound,
                  fmt::format("analyze does not use the model {}, but {}", printable(name), fmt::join(used, ", ")));
  return {};
}

nlohmann::json prepared_json(const PreparedModel& model) {
  nlohmann::json entry = {{"model", model.stage.key.model}, {"stage", model.stage.key.stage}};
  if (!model.state) {
    entry["error"] = model.state.error().message;
    return entry;
  }
  const auto [device, precision] = model.stage.placement();
  entry.update({{"device", device}, {"precision", precision}, {"reason", model.stage.reason}});
  return entry;
}

void print_prepared(const PreparedModel& model) {
  const std::string& name = model.stage.key.model;
  if (!model.state) return print_line(fmt::format("{}: {}", name, printable(model.state.error().message)));
  const auto [device, precision] = model.stage.placement();
  print_line(fmt::format("{}: {} on {}{}{}", name, precision, device, model.stage.reason.empty() ? "" : ": ",
                         printable(model.stage.reason)));
}

}  // namespace

Result<int> prepare_models(const Context& context, const std::vector<std::string>& names) {
  IE_TRY(auto models,
         pipeline::InstalledModels::open(models::find_install_paths(context.config.models.folder), context.config));
  const auto shared = std::make_shared<const pipeline::InstalledModels>(std::move(models));
  std::vector<PictureStage> stages = pipeline::model_stages(shared, {}, false).stages;
  IE_CHECK(check_prepared_names(names, stages));
  if (!names.empty())
    std::erase_if(stages, [&](const PictureStage& s) { return std::ranges::find(names, s.key.model) == names.end(); });
  std::vector<PreparedModel> prepared;
  Progress progress("Preparing", stages.size(), !context.quiet);
  progress.append_text([&] { return prepared.size() < stages.size() ? stages[prepared.size()].key.model : ""; });
  progress.add(0);
  for (PictureStage& stage : stages) {
    PreparedModel model{stage, {}};
    model.state = model.stage.load(model.stage);
    if (!model.state && model.state.error().code == ErrorCode::kInterrupted) return fail(model.state.error());
    prepared.push_back(std::move(model));
    progress.add();
  }
  nlohmann::json entries = nlohmann::json::array();
  for (const PreparedModel& model : prepared)
    context.json ? entries.push_back(prepared_json(model)) : print_prepared(model);
  if (context.json) print_json("models-prepare", {{"models", std::move(entries)}});
  return std::ranges::all_of(prepared, [](const PreparedModel& model) { return model.state.has_value(); }) ? kDone
                                                                                                           : kFailed;
}

}  // namespace image_engine::cli
