// The models of sound that a run uses.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audio/sound_events.h"
#include "audio/voice_activity.h"
#include "audio/whisper.h"
#include "pipeline/installed_models.h"
#include "store/types.h"

namespace image_engine::pipeline {

inline constexpr char kSpeechTask[] = "speech";
inline constexpr char kVoiceTask[] = "voice-activity";
inline constexpr char kSoundEventsTask[] = "sound-events";

// Their specs; null: the stage is off, as its models are not installed or the configuration says `none`.
struct SoundSpecs {
  const models::Spec* speech = nullptr;
  const models::Spec* voice = nullptr;
  const models::Spec* events = nullptr;
};
// kInvalidArgument where the configuration names a model that is not installed, with the command that installs it, and
// where a model of speech is installed without one of voice activity.
Result<SoundSpecs> find_sound_models(const InstalledModels& models);

// What can be known of the configuration of sound before hours of other work: kInvalidArgument for a language that
// there is not, and as find_sound_models().
Status check_sound(const models::InstallPaths& paths, const Config& config);

// Loaded; thread-safe.
struct SoundModels {
  std::shared_ptr<const infer::Session> voice, events;
  std::string events_name;
  std::vector<audio::SoundClass> classes;  // of `events`
  std::unique_ptr<const audio::Whisper> whisper;
  std::string precision;  // of whisper
};
// Only those that are not null; `threads` inside one run. Errors name the model.
Result<SoundModels> load_sound_models(const InstalledModels& models, const SoundSpecs& specs,
                                      const audio::WhisperOptions& options, int threads);

}  // namespace image_engine::pipeline
