// The stages of pass 2 that need a model.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "models/places.h"
#include "pipeline/stages.h"

namespace image_engine::pipeline {

struct ModelStages {
  std::vector<PictureStage> stages;  // of installed models; not loaded yet
  std::vector<std::string> notes;    // for a person: what is left out, why, and the command that changes it
};

// One stage for each task whose model is installed. `config` says which model does what.
ModelStages model_stages(const models::Places& places, const Config& config);

}  // namespace image_engine::pipeline
