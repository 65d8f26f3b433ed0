// What the records of sound depend on.
#pragma once

#include <optional>

#include "core/config.h"
#include "pipeline/sound_models.h"
#include "store/types.h"

namespace image_engine::pipeline {

// nullopt: the stage has nothing to work with.
struct SoundKeys {
  std::optional<store::StageKey> speech, sounds;
  std::optional<store::StageKey> loudness;  // measured where the sound is decoded anyway
};
SoundKeys sound_keys(const SoundSpecs& specs, const Config& config);

// Where it is asked for by name.
store::StageKey loudness_key(const Config& config);

}  // namespace image_engine::pipeline
