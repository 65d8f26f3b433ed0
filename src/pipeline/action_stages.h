// The stage that names what happens in videos.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pipeline/installed_models.h"
#include "pipeline/model_stages.h"
#include "pipeline/stages.h"
#include "video/actions.h"

namespace image_engine::pipeline {

enum class ActionSource : std::uint8_t {
  kTemporal,  // a model that sees several frames at once
  kZeroShot,  // an image-text model that compares single frames with words: a stand-in
};
// As documents have it.
std::string_view source_text(ActionSource source);

// nullopt: the field is none of actions.
std::optional<ActionSource> source_of(store::TextField field);

// The record of a frame, or of any other moment.
StageOutput actions_at(std::span<const video::ActionGuess> guesses, ActionSource source);
// The record of a whole video. `windows`: by time.
StageOutput actions_over_time(std::span<const video::ActionWindow> windows, ActionSource source);

// Adds the stage to `result.of_videos`, or a note where the model that the configuration names cannot be used. Without
// any model for it, nothing. `embedding`: the stage, not loaded, that makes vectors with `embedder`; both may be null.
void choose_actions(const std::shared_ptr<const InstalledModels>& models, const models::Spec* embedder,
                    const PictureStage* embedding, ModelStages& result);

}  // namespace image_engine::pipeline
