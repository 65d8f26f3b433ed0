// The stages of pass 2 that need a model.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/installed_models.h"
#include "pipeline/stages.h"
#include "store/types.h"
#include "vision/scenes.h"

namespace image_engine::pipeline {

// Vectors that a server makes.
struct ServedStage {
  store::StageKey key;
  std::size_t dimensions = 0;
};

struct ModelStages {
  std::vector<PictureStage> stages;      // of installed models; not loaded yet
  std::vector<PictureStage> of_videos;   // likewise, for frames of videos only
  std::vector<std::string> notes;        // for a person: what is left out, why, and the remedy
  const models::Spec* active = nullptr;  // the model whose vectors search reads once this run is done
  const models::Spec* next = nullptr;    // with `upgrade`: the model that will replace it
  // The vectors that a server makes: no stage of pass 2.
  std::optional<ServedStage> served;
};

// One stage for each task whose model is installed. The configuration selects the models; but pictures are embedded
// with the model of the active space as long as that is installed. `upgrade`: also with the configured one. Stages keep
// `models`.
ModelStages model_stages(const std::shared_ptr<const InstalledModels>& models, const std::vector<store::Space>& spaces,
                         bool upgrade);

// Notes what runs the stage, now and after a fallback. The session must live as long as the stage is used.
void note_session(const infer::Chosen& chosen, PictureStage& stage);

// Whether the configuration wants scenes by comparing this embedding model's vectors with labels.
bool names_scenes(const InstalledModels& models, const models::Spec* embedding);

// A record of the scene stage; unlikely scenes cannot be searched for.
StageOutput scene_output(const std::vector<vision::SceneGuess>& guesses);

}  // namespace image_engine::pipeline
