#include "pipeline/action_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/file.h"
#include "core/json.h"
#include "pipeline/action_windows.h"
#include "vision/actions.h"
#include "vision/scenes.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;
using video::ActionGuess;

// Raise it when the same vector would get other actions.
constexpr char kZeroShotVersion[] = "1";
// Zero-shot, a frame that shows nothing of the list spreads its confidence; what is less likely than this is not said.
constexpr double kLeastZeroShotAction = 0.4;

struct SourceRow {
  ActionSource source;
  std::string_view text;
  store::TextField field;
};
constexpr SourceRow kSources[] = {
    {ActionSource::kTemporal, "temporal model", store::TextField::kAction},
    {ActionSource::kZeroShot, "zero-shot by an image-text model, not a temporal model",
     store::TextField::kZeroShotAction},
};
const SourceRow& row_of(ActionSource source) { return *std::ranges::find(kSources, source, &SourceRow::source); }

// What another source found before is replaced, too.
std::vector<store::Fact> action_facts(const std::map<std::string, double>& surest, ActionSource source) {
  std::vector<store::Fact> facts;
  for (const SourceRow& row : kSources) {
    store::ClassFacts found{row.field, {}};
    if (row.source == source)
      for (const auto& [action, confidence] : surest) found.classes.push_back({action, thousandths(confidence), {}});
    facts.emplace_back(std::move(found));
  }
  return facts;
}

Result<StageOutput> guess_from(const vision::SceneScorer& scorer, std::span<const float> vector) {
  IE_TRY(const std::vector<vision::SceneGuess> scored, scorer.score(vector));
  std::vector<ActionGuess> guesses;
  for (const vision::SceneGuess& guess : scored) guesses.push_back({guess.label, guess.confidence});
  return actions_at(video::sure_guesses(guesses, kLeastZeroShotAction), ActionSource::kZeroShot);
}

// The vectors of labels, cached; the text tower runs only where the labels or the model are new.
Result<vision::SceneScorer> load_labels(const InstalledModels& models, const models::Spec& embedder,
                                        const vision::SceneLabels& labels, const std::string& params) {
  IE_TRY(const double scale, models::number_option(embedder, "logit_scale", 100));
  const auto embed = [&](std::span<const std::string> texts) -> Result<std::vector<vision::Embedding>> {
    IE_TRY(const vision::TextEmbedder tower, models.text_embedder(embedder));
    return tower.embed(texts);
  };
  return vision::SceneScorer::create_kept(labels, scale, embed, inference_folder(), params);
}

// With its own run of the picture model, unless the embedding stage's vectors are at hand.
Status load_zero_shot(PictureStage embedding, vision::SceneScorer scorer, PictureStage& stage) {
  const auto shared = std::make_shared<const vision::SceneScorer>(std::move(scorer));
  stage.from_vector = [shared](std::span<const float> vector) { return guess_from(*shared, vector); };
  if (stage.follows) {
    stage.prepare = [](const StageInput&) -> Result<StageWork> {
      return fail(ErrorCode::kInternal, "actions are named from vectors that another stage makes");
    };
    return {};
  }
  IE_CHECK(embedding.load(embedding));
  stage.prepare = embedding.prepare;
  stage.batch = embedding.batch;
  stage.device = embedding.device, stage.precision = embedding.precision, stage.runs_on = embedding.runs_on;
  stage.run = [embed = embedding.run,
               from = stage.from_vector](std::span<StageWork> works) -> Result<std::vector<StageOutput>> {
    IE_TRY(const std::vector<StageOutput> embedded, embed(works));
    std::vector<StageOutput> outputs;
    for (const StageOutput& one : embedded) {
      IE_TRY(outputs.emplace_back(), from(std::get<store::VectorFact>(one.facts.front()).numbers));
    }
    return outputs;
  };
  return {};
}

Result<PictureStage> zero_shot_stage(const std::shared_ptr<const InstalledModels>& models, const models::Spec& embedder,
                                     const PictureStage& embedding) {
  const std::string& named = models->config().video.action_labels;
  IE_TRY(const vision::SceneLabels labels,
         vision::SceneLabels::read(named.empty() ? models->paths().actions : absolute_path(named)));
  IE_TRY(const double scale, models::number_option(embedder, "logit_scale", 100));
  PictureStage stage;
  stage.key = {kActionsStage, embedder.name, fmt::format("{} zero-shot {}", embedder.version, kZeroShotVersion),
               hash128(fmt::format("{} {} {}", embedding.key.params, labels.hash(), scale)).hex()};
  stage.edge = embedding.edge;
  stage.prepared_bytes = embedding.prepared_bytes;
  stage.follows = embedding.key;
  stage.load = [models, &embedder, embedding, labels](PictureStage& target) -> Status {
    IE_TRY(vision::SceneScorer scorer, load_labels(*models, embedder, labels, target.key.params));
    return load_zero_shot(embedding, std::move(scorer), target);
  };
  return stage;
}

Status load_temporal(const std::shared_ptr<const InstalledModels>& models, const models::Spec& spec, ClipModel clip,
                     PictureStage& stage) {
  IE_TRY(infer::Chosen chosen, models->picture_session(spec));
  note_session(chosen, stage);
  IE_TRY(vision::ActionClassifier made, vision::ActionClassifier::create(spec, std::move(chosen.session)));
  const auto classifier = std::make_shared<const vision::ActionClassifier>(std::move(made));
  clip.prepare = [classifier](const ImageView& picture, preprocess::FullSize full) {
    return classifier->prepare(picture, full);
  };
  clip.run = [classifier](std::span<const preprocess::Prepared> frames) -> Result<std::vector<ActionGuess>> {
    IE_TRY(const std::vector<vision::SceneGuess> named, classifier->classify(frames));
    std::vector<ActionGuess> guesses;
    for (const vision::SceneGuess& guess : named) guesses.push_back({guess.label, guess.confidence});
    return guesses;
  };
  stage.clip = std::make_shared<const ClipModel>(std::move(clip));
  stage.prepare = [](const StageInput&) -> Result<StageWork> {
    return fail(ErrorCode::kInternal, "actions are named in several frames at once");
  };
  return {};
}

Result<PictureStage> temporal_stage(const std::shared_ptr<const InstalledModels>& models, const models::Spec& spec) {
  IE_TRY(const preprocess::Plan plan, vision::frame_plan_of(spec));
  const models::InputSpec& input = spec.input;
  const ClipModel clip{input.frames, input.stride_seconds, input.stride_frames, preprocess::wanted_edge(plan)};
  PictureStage stage;
  stage.key = model_key(kActionsStage, spec);
  stage.clip = std::make_shared<const ClipModel>(clip);
  stage.load = [models, &spec, clip](PictureStage& target) { return load_temporal(models, spec, clip, target); };
  return stage;
}

}  // namespace

std::string_view source_text(ActionSource source) { return row_of(source).text; }

std::optional<ActionSource> source_of(store::TextField field) {
  const auto* row = std::ranges::find(kSources, field, &SourceRow::field);
  return row == std::end(kSources) ? std::nullopt : std::optional(row->source);
}

StageOutput actions_at(std::span<const ActionGuess> guesses, ActionSource source) {
  json list = json::array();
  std::map<std::string, double> surest;
  for (const ActionGuess& guess : guesses) {
    list.push_back(
        {{"action", guess.action}, {"confidence", thousandths(guess.confidence)}, {"source", source_text(source)}});
    surest[guess.action] = guess.confidence;
  }
  return {json_text(json{{"actions", std::move(list)}}), action_facts(surest, source)};
}

StageOutput actions_over_time(std::span<const video::ActionWindow> windows, ActionSource source) {
  json list = json::array();
  std::map<std::string, double> surest;
  for (const video::ActionSpan& span : video::action_spans(windows)) {
    list.push_back({{"action", span.action},
                    {"confidence", thousandths(span.confidence)},
                    {"from", thousandths(span.from)},
                    {"to", thousandths(span.to)},
                    {"source", source_text(source)}});
    surest[span.action] = std::max(surest[span.action], span.confidence);
  }
  return {json_text(json{{"actions", std::move(list)}}), action_facts(surest, source)};
}

void choose_actions(const std::shared_ptr<const InstalledModels>& models, const models::Spec* embedder,
                    const PictureStage* embedding, ModelStages& result) {
  const std::string& wanted = models->config().analysis.ml_models.action_model;
  if (wanted == "none") return;
  const auto leave_out = [&](const Error& error) {
    result.notes.push_back(fmt::format("{}: left out: {}", kActionsStage, error.message));
  };
  const Result<const models::Spec*> temporal = models->find("actions", wanted);
  const bool sees_motion = !models->config().video.key_frames_only;
  if (temporal && (sees_motion || wanted != "auto")) {
    if (!sees_motion)
      return leave_out({ErrorCode::kUnsupported,
                        fmt::format("{} needs the frames between key frames: leave --fast out", (*temporal)->name)});
    Result<PictureStage> stage = temporal_stage(models, **temporal);
    if (!stage) return leave_out(stage.error());
    return result.of_videos.push_back(std::move(*stage));
  }
  const bool is_embedder = embedder != nullptr && models::answers_to(*embedder, wanted);
  if (!temporal && wanted != "auto" && !is_embedder) return leave_out(temporal.error());
  const bool compares = embedder != nullptr && embedding != nullptr && !embedder->text.tokenizer.empty();
  if (!compares) return;
  Result<PictureStage> stage = zero_shot_stage(models, *embedder, *embedding);
  if (!stage) return leave_out(stage.error());
  result.of_videos.push_back(std::move(*stage));
}

}  // namespace image_engine::pipeline
