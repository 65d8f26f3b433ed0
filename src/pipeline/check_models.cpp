#include "pipeline/check_models.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/file.h"
#include "core/text.h"
#include "pipeline/installed_models.h"
#include "vision/scenes.h"

namespace image_engine::pipeline {
namespace {

// A key that names a model. `also`: the task of other models that can do the same, by comparing vectors of pictures
// with labels.
struct NamedModel {
  const char* key;
  std::string MlModelsConfig::*member;
  const char* task;
  const char* also = nullptr;
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

bool names_one(const std::string& model) { return model != "auto" && model != "none"; }

Status check_named_model(const InstalledModels& models, const NamedModel& row) {
  const std::string& name = models.config().analysis.ml_models.*row.member;
  if (!names_one(name)) return {};
  const bool is_of_other_task = row.also != nullptr && models.has_task(name, row.also);
  const auto found = models.find(is_of_other_task ? row.also : row.task, name);
  if (found) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("analysis.ml_models.{} is {}: {}", row.key, printable(name), found.error().message));
}

Status check_labels(const char* key, const std::string& file) {
  if (file.empty()) return {};
  const auto labels = vision::SceneLabels::read(absolute_path(file));
  if (labels) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", key, labels.error().message));
}

}  // namespace

Status check_models(const models::InstallPaths& paths, const Config& config) {
  IE_CHECK(check_labels("analysis.ml_models.scene_labels", config.analysis.ml_models.scene_labels));
  IE_CHECK(check_labels("video.action_labels", config.video.action_labels));
  if (std::ranges::none_of(kNamedModels,
                           [&](const NamedModel& row) { return names_one(config.analysis.ml_models.*row.member); }))
    return {};
  IE_TRY(const InstalledModels models, InstalledModels::open(paths, config));
  for (const NamedModel& row : kNamedModels) IE_CHECK(check_named_model(models, row));
  return {};
}

}  // namespace image_engine::pipeline
