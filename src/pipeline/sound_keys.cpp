#include "pipeline/sound_keys.h"

#include <fmt/format.h>

#include "core/hash.h"
#include "pipeline/stages.h"
#include "types/language.h"

namespace image_engine::pipeline {
namespace {

// Raise one when the same sound would get other results.
constexpr char kSpeechVersion[] = "1", kSoundsVersion[] = "1", kLoudnessVersion[] = "1";
constexpr char kSubtitlesOnly[] = "subtitles";  // the model of speech where none is installed

std::string params_of(const std::string& text) { return hash128(text).hex().substr(0, 16); }

// Of one or both models that find sounds; the record is of both.
std::optional<store::StageKey> sounds_key(const SoundSpecs& specs, const Config& config) {
  std::optional<store::StageKey> key;
  for (const models::Spec* spec : {specs.events, specs.tags}) {
    if (spec == nullptr) continue;
    const store::StageKey own = model_key(kSoundsStage, *spec);
    if (!key) {
      key = own;
      continue;
    }
    key->model += " + " + own.model;
    key->version += " + " + own.version;
    key->params += " " + own.params;
  }
  if (!key) return key;
  key->version += std::string(" ") + kSoundsVersion;
  key->params = params_of(key->params + " track=" + config.audio.track);
  return key;
}

store::StageKey speech_key(const SoundSpecs& specs, const Config& config, bool reads_subtitles) {
  store::StageKey key{kSpeechStage, kSubtitlesOnly, kSpeechVersion, ""};
  if (specs.speech != nullptr) {
    key = model_key(kSpeechStage, *specs.speech);
    key.version += std::string(" ") + kSpeechVersion;
    key.params += " " + models::spec_params(*specs.voice);
  }
  key.params = params_of(fmt::format("{} language={} translate={} track={} subtitles={}", key.params,
                                     language_code(config.audio.language), config.audio.translate, config.audio.track,
                                     reads_subtitles));
  return key;
}

}  // namespace

SoundKeys sound_keys(const SoundSpecs& specs, const Config& config) {
  const bool reads_subtitles = config.audio.subtitles == "prefer";
  SoundKeys keys;
  if (specs.speech != nullptr || reads_subtitles) keys.speech = speech_key(specs, config, reads_subtitles);
  keys.sounds = sounds_key(specs, config);
  if (specs.speech != nullptr || keys.sounds) keys.loudness = loudness_key(config);
  return keys;
}

store::StageKey loudness_key(const Config& config) {
  return {kLoudnessStage, "", kLoudnessVersion, params_of("track=" + config.audio.track)};
}

}  // namespace image_engine::pipeline
