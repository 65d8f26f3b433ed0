#include "pipeline/named_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "core/text.h"
#include "pipeline/installed_models.h"

namespace image_engine::pipeline {
namespace {

// `also`: the task of models that can do the work, too, by comparing vectors of pictures with labels.
struct NamedModel {
  std::string_view key;
  std::string MlModelsConfig::*name;
  std::string_view task, also = {};
};
constexpr NamedModel kNamedModels[] = {
    {"object_model", &MlModelsConfig::object_model, "objects"},
    {"scene_model", &MlModelsConfig::scene_model, "scene", "embedding"},
    {"embedding_model", &MlModelsConfig::embedding_model, "embedding"},
    {"feature_model", &MlModelsConfig::feature_model, "features"},
    {"sentence_model", &MlModelsConfig::sentence_model, "sentences"},
    {"text_model", &MlModelsConfig::text_model, "text"},
    {"action_model", &MlModelsConfig::action_model, "actions", "embedding"},
};

bool names_a_model(const std::string& name) { return name != "auto" && name != "none"; }

Status check_one(const InstalledModels& models, const NamedModel& row, const std::string& name) {
  const auto found = models.find(models.has_task(name, row.also) ? row.also : row.task, name);
  if (found) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("analysis.ml_models.{} is {}: {}", row.key, printable(name), found.error().message));
}

}  // namespace

Status check_named_models(const models::InstallPaths& paths, const Config& config) {
  const MlModelsConfig& wanted = config.analysis.ml_models;
  const auto names_one = [&](const NamedModel& row) { return names_a_model(wanted.*row.name); };
  if (std::ranges::none_of(kNamedModels, names_one)) return {};
  IE_TRY(const InstalledModels models, InstalledModels::open(paths, config));
  for (const NamedModel& row : kNamedModels)
    if (names_one(row)) IE_CHECK(check_one(models, row, wanted.*row.name));
  return {};
}

}  // namespace image_engine::pipeline
