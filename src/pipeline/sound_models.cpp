#include "pipeline/sound_models.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "audio/sound_events.h"
#include "audio/sound_tagger.h"
#include "core/file.h"
#include "types/language.h"
#include "vision/graph_checks.h"

namespace image_engine::pipeline {
namespace {

constexpr std::string_view kNone = "none", kAuto = "auto";

// Null where none is installed and none is named.
Result<const models::Spec*> find(const InstalledModels& models, const char* task, const char* key,
                                 const std::string& wanted) {
  if (wanted == kNone) return nullptr;
  Result<const models::Spec*> spec = models.find(task, wanted);
  if (spec) return spec;
  if (wanted == kAuto) return nullptr;
  return fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}: {}", key, wanted, spec.error().message));
}

// Two seconds that a voice could make: a buzz whose formants wander.
std::vector<float> buzz() {
  constexpr std::size_t kSeconds = 2;
  std::vector<float> samples(kSeconds * audio::kSampleRate);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double t = static_cast<double>(i) / audio::kSampleRate, pitch = 120 + 20 * std::sin(5 * t);
    double sum = 0;
    for (int harmonic = 1; harmonic <= 24; ++harmonic) {
      const double frequency = harmonic * pitch, formant = 700 + 400 * std::sin(9 * t);
      sum += std::sin(2 * std::numbers::pi * frequency * t) / (1 + std::pow((frequency - formant) / 300, 2));
    }
    samples[i] = static_cast<float>(0.1 * sum * (0.6 + 0.4 * std::sin(20 * t)));
  }
  return samples;
}

Result<std::vector<Tensor>> sound_canary(const infer::Session& encoder) {
  constexpr std::size_t kFrames = 1200;
  const std::int64_t mels =
      encoder.inputs().empty() || encoder.inputs()[0].shape.size() != 3 ? 0 : encoder.inputs()[0].shape[1];
  if (mels < 1 || mels > 256) return fail(ErrorCode::kCorrupt, "its encoder does not take a mel spectrogram");
  Tensor mel = Tensor::zeros(ElementType::kFloat32, {1, mels, std::int64_t{kFrames}});
  std::ranges::copy(audio::whisper_mel(buzz(), static_cast<std::size_t>(mels), kFrames), mel.as<float>().begin());
  return std::vector{std::move(mel)};
}

Result<std::vector<Tensor>> no_canary(const infer::Session& /*session*/) {
  return fail(ErrorCode::kInternal, "this model has one precision");
}

Result<audio::Whisper> load_whisper(const InstalledModels& models, const models::Spec& spec, int threads,
                                    std::string& precision) {
  IE_TRY(const models::Spec encoder_spec, models::part_of(spec, "encoder"));
  IE_TRY(const models::Spec decoder_spec, models::part_of(spec, "decoder"));
  IE_TRY(infer::Chosen encoder, models.cpu_session(encoder_spec, sound_canary, threads));
  precision = encoder.precision;
  IE_TRY(infer::Chosen decoder, models.cpu_session(decoder_spec, no_canary, threads, precision));
  const auto vocabulary = spec.head_options.find("tokens");
  const std::string name = vocabulary == spec.head_options.end() ? "tokens.txt" : vocabulary->second;
  IE_TRY(const std::string tokens, read_file(join_path(models.store().found_in(spec), name)));
  return audio::Whisper::create(std::move(encoder.session), std::move(decoder.session), tokens);
}

Result<SoundListener> load_events(const InstalledModels& models, const models::Spec& spec) {
  Result<infer::Chosen> chosen = models.cpu_session(spec, no_canary, 1);
  if (!chosen) return vision::name_model(spec.name, std::move(chosen).error());
  IE_TRY(const std::vector<audio::SoundClass> classes, audio::sound_classes(spec));
  IE_TRY(const audio::SoundEvents fresh,
         audio::SoundEvents::create(std::shared_ptr<const infer::Session>(std::move(chosen->session)), spec.name,
                                    classes));
  return SoundListener{spec.name, [fresh]() -> Result<std::unique_ptr<audio::SoundFinder>> {
                         return std::make_unique<audio::SoundEvents>(fresh);
                       }};
}

Result<SoundListener> load_tags(const InstalledModels& models, const models::Spec& spec,
                                const std::vector<std::string>& elsewhere, int threads) {
  const auto canary = [&](const infer::Session& session) -> Result<std::vector<Tensor>> {
    IE_TRY(const audio::TaggingPlan plan, audio::tagging_plan(spec, session));
    return std::vector{audio::SoundTagger::input_of(plan, buzz(), 0, 0)};
  };
  Result<infer::Chosen> chosen = models.cpu_session(spec, canary, threads);
  if (!chosen) return vision::name_model(spec.name, std::move(chosen).error());
  const std::shared_ptr<const infer::Session> session = std::move(chosen->session);
  IE_TRY(audio::TaggingPlan made, audio::tagging_plan(spec, *session, elsewhere));
  const auto plan = std::make_shared<const audio::TaggingPlan>(std::move(made));
  return SoundListener{spec.name, [session, plan]() -> Result<std::unique_ptr<audio::SoundFinder>> {
                         return std::make_unique<audio::SoundTagger>(session, plan);
                       }};
}

}  // namespace

Result<SoundSpecs> find_sound_models(const InstalledModels& models) {
  const auto& wanted = models.config().audio;
  SoundSpecs specs;
  IE_TRY(specs.speech, find(models, kSpeechTask, "audio.speech_model", wanted.speech_model));
  IE_TRY(specs.voice, find(models, kVoiceTask, "audio.voice_model", wanted.voice_model));
  IE_TRY(specs.events, find(models, kSoundEventsTask, "audio.music", wanted.music));
  IE_TRY(specs.tags, find(models, kTaggingTask, "audio.tagging", wanted.tagging));
  if (specs.speech != nullptr && specs.voice == nullptr)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the model {} needs one of voice activity: image-engine models pull silero-vad, or set "
                            "audio.speech_model to none",
                            specs.speech->name));
  return specs;
}

Status check_sound(const models::InstallPaths& paths, const Config& config) {
  const auto& wanted = config.audio;
  if (!wanted.enabled) return {};
  if (wanted.language != kAuto && language_code(wanted.language).empty())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("audio.language is {}: it is auto, or a code such as en or de", wanted.language));
  const auto is_usual = [](const std::string& model) { return model == kAuto || model == kNone; };
  if (is_usual(wanted.speech_model) && is_usual(wanted.voice_model) && is_usual(wanted.music) &&
      is_usual(wanted.tagging))
    return {};
  IE_TRY(const InstalledModels models, InstalledModels::open(paths, config));
  IE_TRY([[maybe_unused]] const SoundSpecs specs, find_sound_models(models));
  return {};
}

Result<SoundModels> load_sound_models(const InstalledModels& models, const SoundSpecs& specs,
                                      const audio::WhisperOptions& options, int threads) {
  SoundModels loaded;
  if (specs.speech != nullptr) {
    Result<audio::Whisper> whisper = load_whisper(models, *specs.speech, threads, loaded.precision);
    if (!whisper) return vision::name_model(specs.speech->name, std::move(whisper).error());
    loaded.whisper = std::make_unique<const audio::Whisper>(*std::move(whisper));
    if (const Status fits = loaded.whisper->check(options); !fits)
      return fail(fits.error().code, fmt::format("{}: {}", specs.speech->name, fits.error().message));
  }
  if (specs.voice != nullptr) {
    Result<infer::Chosen> voice = models.cpu_session(*specs.voice, no_canary, 1);
    if (!voice) return vision::name_model(specs.voice->name, std::move(voice).error());
    loaded.voice = std::move(voice->session);
    if (const auto fits = audio::VoiceActivity::create(loaded.voice); !fits)
      return vision::name_model(specs.voice->name, fits.error());
  }
  if (specs.events != nullptr) {
    IE_TRY(SoundListener listener, load_events(models, *specs.events));
    loaded.listeners.push_back(std::move(listener));
  }
  if (specs.tags != nullptr) {
    const auto elsewhere = specs.events == nullptr ? std::vector<std::string>{} : specs.events->labels;
    IE_TRY(SoundListener listener, load_tags(models, *specs.tags, elsewhere, threads));
    loaded.listeners.push_back(std::move(listener));
  }
  return loaded;
}

}  // namespace image_engine::pipeline
