#include "pipeline/model_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "models/tasks.h"
#include "pipeline/prompt_model.h"
#include "pipeline/scene_model.h"
#include "pipeline/sound_models.h"
#include "vision/actions.h"
#include "vision/graph_checks.h"
#include "vision/objects.h"
#include "vision/phrase_segmenter.h"
#include "vision/scenes.h"
#include "vision/segmenter.h"
#include "vision/text.h"

namespace image_engine::pipeline {
namespace {

using models::Spec;

Result<infer::Chosen> session_on_cpu(const InstalledModels& models, const Spec& spec) {
  Result<infer::Chosen> chosen = models.session_on_cpu(spec);
  if (!chosen) return vision::name_model(spec.name, std::move(chosen).error());
  return chosen;
}

// A precision is worth a word where there were others.
std::string precision_note(const Spec& spec, const infer::Chosen& chosen) {
  return spec.variants.size() > 1 ? chosen.reason : "";
}

template <typename Reader>
Result<std::string> fit_reader(const InstalledModels& models, const Spec& spec) {
  IE_TRY(infer::Chosen chosen, session_on_cpu(models, spec));
  std::string note = precision_note(spec, chosen);
  IE_TRY([[maybe_unused]] const Reader reader, Reader::create(spec, std::move(chosen.session)));
  return note;
}

Result<std::string> fit_texts(const InstalledModels& models, const Spec& spec) {
  IE_TRY(const vision::TextEmbedder tower, models.text_embedder(spec));
  IE_CHECK(tower.embed("a photo"));
  return "";
}

// Grey, 4 × 4 pixels: embedders refuse a vector of length 0, which black may have.
struct GreyPicture {
  std::vector<std::uint8_t> pixels = std::vector<std::uint8_t>(std::size_t{4} * 4 * 3, 128);
  [[nodiscard]] ImageView view() const { return {4, 4, pixels}; }
};

Result<std::string> fit_vectors(const InstalledModels& models, const Spec& spec) {
  IE_TRY(infer::Chosen chosen, session_on_cpu(models, spec));
  std::string note = precision_note(spec, chosen);
  IE_TRY(const vision::ImageEmbedder embedder, vision::ImageEmbedder::create(spec, std::move(chosen.session)));
  IE_CHECK(embedder.embed(GreyPicture().view()));
  return note;
}

Result<std::string> fit_mattes(const InstalledModels& models, const Spec& spec) {
  IE_TRY(infer::Chosen chosen, session_on_cpu(models, spec));
  std::string note = precision_note(spec, chosen);
  IE_TRY(const vision::Segmenter segmenter, vision::Segmenter::create(spec, std::move(chosen.session)));
  constexpr std::size_t kFirst[] = {0};
  IE_CHECK(segmenter.segment(GreyPicture().view(), kFirst));
  return note;
}

Result<std::string> fit_prompts(const InstalledModels& models, const Spec& spec) {
  vision::Prompts prompts;
  if (spec.head == vision::kPhraseHead)
    prompts.phrase = "a photo";
  else
    prompts.points.push_back({1, 1});
  IE_TRY(const PromptModel model, PromptModel::load(models, spec.name, prompts));
  IE_CHECK(model.select(GreyPicture().view(), prompts));
  return "";
}

Result<std::string> fit_pictures_and_texts(const InstalledModels& models, const Spec& spec) {
  IE_TRY(std::string note, fit_vectors(models, spec));
  if (!spec.text.tokenizer.empty()) IE_CHECK(fit_texts(models, spec));
  return note;
}

Result<std::string> fit_writing(const InstalledModels& models, const Spec& spec) {
  vision::TextSessions sessions;
  for (const auto& [part, session] : {std::pair("detect", &sessions.detect), std::pair("orient", &sessions.orient),
                                      std::pair("read", &sessions.read)}) {
    IE_TRY(const Spec one, models::part_of(spec, part));
    IE_TRY(infer::Chosen chosen, session_on_cpu(models, one));
    *session = std::move(chosen.session);
  }
  IE_CHECK(vision::TextReader::create(spec, std::move(sessions)));
  return "";
}

Result<std::string> fit_scene_changes(const InstalledModels& models, const Spec& spec) {
  IE_CHECK(load_scene_model(models, spec));
  return "";
}

template <const Spec* SoundSpecs::*Member>
Result<std::string> fit_sound(const InstalledModels& models, const Spec& spec) {
  SoundSpecs specs;
  specs.*Member = &spec;
  IE_CHECK(load_sound_models(models, specs, {}, 1));
  return "";
}

struct FitRow {
  std::string_view task;
  Result<std::string> (*check)(const InstalledModels&, const Spec&);
};
constexpr FitRow kFits[] = {
    {"objects", fit_reader<vision::ObjectDetector>},
    {"faces", fit_reader<vision::ObjectDetector>},
    {"embedding", fit_pictures_and_texts},
    {"features", fit_vectors},
    {"scene", fit_reader<vision::SceneClassifier>},
    {"segmentation", fit_mattes},
    {models::kPromptedTask, fit_prompts},
    {"actions", fit_reader<vision::ActionClassifier>},
    {"sentences", fit_texts},
    {"text", fit_writing},
    {kSceneChangesTask, fit_scene_changes},
    {kSpeechTask, fit_sound<&SoundSpecs::speech>},
    {kVoiceTask, fit_sound<&SoundSpecs::voice>},
    {kSoundEventsTask, fit_sound<&SoundSpecs::events>},
    {kTaggingTask, fit_sound<&SoundSpecs::tags>},
};

}  // namespace

Result<std::string> check_fit(const InstalledModels& models, const Spec& spec) {
  const auto* const row = std::ranges::find(kFits, spec.task, &FitRow::task);
  if (row == std::end(kFits)) {
    std::string known;
    for (const FitRow& each : kFits) known.append(known.empty() ? "" : ", ").append(each.task);
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("nothing here runs models for \"{}\"; known tasks: {}", printable(spec.task), known));
  }
  Result<std::string> note = row->check(models, spec);
  if (!note && note.error().code == ErrorCode::kUnsupported) return fmt::format("not tried: {}", note.error().message);
  return note;
}

}  // namespace image_engine::pipeline
