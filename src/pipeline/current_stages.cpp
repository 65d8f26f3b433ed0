#include "pipeline/current_stages.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>

#include "pipeline/from_vectors.h"
#include "pipeline/model_stages.h"
#include "pipeline/plugin_stages.h"
#include "pipeline/scene_model.h"
#include "pipeline/sound_keys.h"
#include "pipeline/stages.h"
#include "pipeline/video_summary.h"

namespace image_engine::pipeline {
namespace {

using store::PendingQuery;

class CurrentPasses {
 public:
  CurrentPasses(const models::InstallPaths& paths, const Config& config) : config_(config) {
    if (Result<InstalledModels> models = InstalledModels::open(paths, config))
      models_ = std::make_shared<const InstalledModels>(std::move(*models));
  }

  std::vector<PendingQuery> all(const std::vector<store::Space>& spaces) {
    if (models_) chosen_ = model_stages(models_, spaces, false);
    pictures_ = picture_stages();
    std::ranges::copy(chosen_.stages, std::back_inserter(pictures_));
    std::ranges::move(plugin_stages(config_).stages, std::back_inserter(pictures_));
    std::vector<PendingQuery> passes = {photos()};
    if (config_.video.enabled) passes.push_back(videos());
    if (config_.audio.enabled && models_) passes.push_back(sounds());
    if (auto scenes = scenes_by_vectors()) passes.push_back(std::move(*scenes));
    return passes;
  }

 private:
  [[nodiscard]] PendingQuery photos() const {
    PendingQuery query = behind({metadata_key(), content_key(), decode_key()});
    query.stages.push_back({thumbnail_key(config_), MediaKind::kPhoto});
    for (const PictureStage& stage : pictures_) query.stages.push_back({stage.key, MediaKind::kPhoto});
    return query;
  }

  [[nodiscard]] PendingQuery videos() const {
    PendingQuery query = behind({metadata_key(), content_key(), decode_key()});
    if (const auto key = scene_changes_key()) query.stages.push_back({*key, MediaKind::kVideo});
    for (const std::vector<PictureStage>* list : {&pictures_, &chosen_.of_videos})
      for (const PictureStage& stage : *list)
        if (video_stage(stage.key.stage) != nullptr) query.stages.push_back({stage.key, MediaKind::kVideo});
    return query;
  }

  // nullopt: analyze refuses to run with this model.
  [[nodiscard]] std::optional<store::StageKey> scene_changes_key() const {
    if (!wants_scene_model(config_)) return video_key(config_, nullptr);
    if (!models_) return std::nullopt;
    const Result<const models::Spec*> spec = find_scene_model(*models_);
    if (!spec) return std::nullopt;
    const store::StageKey model = model_key(kVideoStage, **spec);
    return video_key(config_, &model);
  }

  [[nodiscard]] PendingQuery sounds() const {
    PendingQuery query = behind({metadata_key(), content_key()});
    const Result<SoundSpecs> specs = find_sound_models(*models_);
    if (!specs) return query;  // likewise
    const SoundKeys keys = sound_keys(*specs, config_);
    for (const auto* key : {&keys.speech, &keys.sounds, &keys.loudness})
      for (const MediaKind kind : {MediaKind::kVideo, MediaKind::kAudio})
        if (*key) query.stages.push_back({**key, kind});
    return query;
  }

  // Of what has a vector, or will have one.
  [[nodiscard]] std::optional<PendingQuery> scenes_by_vectors() const {
    if (!models_ || chosen_.active == nullptr || !names_scenes(*models_, chosen_.active)) return std::nullopt;
    const store::StageKey embedding = model_key(kEmbeddingStage, *chosen_.active);
    const Result<SceneNaming> naming = scene_naming(*models_, embedding, *chosen_.active);
    if (!naming) return std::nullopt;
    PendingQuery query = behind({metadata_key(), content_key(), decode_key(), embedding});
    for (const MediaKind kind : {MediaKind::kPhoto, MediaKind::kVideo}) query.stages.push_back({naming->key, kind});
    return query;
  }

  static PendingQuery behind(std::vector<store::StageKey> gates) {
    PendingQuery query;
    query.gates = std::move(gates);
    return query;
  }

  const Config& config_;
  std::shared_ptr<const InstalledModels> models_;  // null: the registry cannot be read
  ModelStages chosen_;
  std::vector<PictureStage> pictures_;
};

}  // namespace

Result<store::CurrentStages> current_stages(const store::CatalogueReader& catalogue, const models::InstallPaths& paths,
                                            const Config& config) {
  IE_TRY(const std::vector<store::Space> spaces, catalogue.spaces(kEmbeddingStage));
  return store::CurrentStages{CurrentPasses(paths, config).all(spaces), metadata_version(config)};
}

}  // namespace image_engine::pipeline
