// The models of sound that a run uses.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audio/sound_finder.h"
#include "audio/voice_activity.h"
#include "audio/whisper.h"
#include "pipeline/installed_models.h"
#include "store/types.h"

namespace image_engine::pipeline {

inline constexpr char kSpeechTask[] = "speech";
inline constexpr char kVoiceTask[] = "voice-activity";
inline constexpr char kSoundEventsTask[] = "sound-events";
inline constexpr char kTaggingTask[] = "audio-tagging";

// Their specs; null: the stage is off, as its models are not installed or the configuration says `none`.
struct SoundSpecs {
  const models::Spec* speech = nullptr;
  const models::Spec* voice = nullptr;
  const models::Spec* events = nullptr;
  const models::Spec* tags = nullptr;
};
// kInvalidArgument where the configuration names a model that is not installed, with the command that installs it, and
// where a model of speech is installed without one of voice activity.
Result<SoundSpecs> find_sound_models(const InstalledModels& models);

// What can be known of the configuration of sound before hours of other work: kInvalidArgument for a language that
// there is not, and as find_sound_models().
Status check_sound(const models::InstallPaths& paths, const Config& config);

// A model that finds sounds; make() makes what listens to one recording with it, and is thread-safe.
struct SoundListener {
  std::string model;
  std::function<Result<std::unique_ptr<audio::SoundFinder>>()> make;
};

// Loaded; thread-safe.
struct SoundModels {
  std::shared_ptr<const infer::Session> voice;
  std::vector<SoundListener> listeners;  // of sounds, by `events` and `tags`
  std::unique_ptr<const audio::Whisper> whisper;
  std::string precision;  // of whisper
};
// Only those that are not null; `threads` inside one run. A sound that both `events` and `tags` have a name for is
// found by `events` alone. Errors name the model.
Result<SoundModels> load_sound_models(const InstalledModels& models, const SoundSpecs& specs,
                                      const audio::WhisperOptions& options, int threads);

}  // namespace image_engine::pipeline
