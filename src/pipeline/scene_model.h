// The model of scene changes that the configuration asks for instead of the built-in detector.
#pragma once

#include <memory>
#include <string>

#include "core/config.h"
#include "infer/session.h"
#include "pipeline/installed_models.h"
#include "video/model_detector.h"

namespace image_engine::pipeline {

inline constexpr char kSceneChangesTask[] = "scene_changes";

// Whether videos of this configuration need a model for their scenes. With key frames alone they do not: models know
// frames that follow one another.
bool wants_scene_model(const Config& config);

// The model that `video.scene_model` names. kInvalidArgument where it is not installed, with the command that installs
// it.
Result<const models::Spec*> find_scene_model(const InstalledModels& models);

// Loads it. Errors as InstalledModels::picture_session(), and kCorrupt where its graph takes or gives something else.
// What it returns is thread-safe.
Result<video::ScoreWindow> load_scene_model(const InstalledModels& models, const models::Spec& spec);

// Likewise, of a session that is there. `model`: its name, for errors.
Result<video::ScoreWindow> score_by(std::shared_ptr<const infer::Session> session, const std::string& model);

// A window to compare a model's precisions: several scenes, cut together.
Tensor scene_canary();

}  // namespace image_engine::pipeline
