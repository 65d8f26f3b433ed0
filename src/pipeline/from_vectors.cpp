#include "pipeline/from_vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "core/file.h"
#include "core/progress.h"
#include "pipeline/model_stages.h"
#include "pipeline/stages.h"
#include "pipeline/video_summary.h"
#include "types/half.h"

namespace image_engine::pipeline {
namespace {

// Words in one run of the sentence model, and most words of the library: the most frequent ones.
constexpr std::size_t kTagsAtOnce = 64;
constexpr std::size_t kMostTags = 20'000;

}  // namespace

Result<std::vector<store::AssetId>> FromVectors::without_scene() {
  const auto& redo = run_.options.redo;
  const bool all = std::ranges::find(redo, kSceneStage) != redo.end();
  const std::lock_guard lock(run_.reader_mutex);
  return run_.reader.assets_without(space_.id, all ? store::StageKey{} : scene_key_);
}

Result<SceneNaming> scene_naming(const InstalledModels& models, const store::StageKey& space,
                                 const models::Spec& spec) {
  const std::string& named = models.config().analysis.ml_models.scene_labels;
  IE_TRY(vision::SceneLabels labels,
         vision::SceneLabels::read(named.empty() ? models.paths().scenes : absolute_path(named)));
  IE_TRY(const double scale, models::number_option(spec, "logit_scale", 100));
  const std::string params = hash128(fmt::format("{} {} {}", space.params, labels.hash(), scale)).hex();
  return SceneNaming{std::move(labels), scale, {kSceneStage, spec.name, spec.version, params}};
}

Status FromVectors::load_scenes(const models::Spec& spec, bool more) {
  IE_TRY(const SceneNaming naming, scene_naming(*models_, space_.key, spec));
  scene_key_ = naming.key;
  IE_TRY(const std::vector<store::AssetId> lacking, without_scene());
  if (lacking.empty() && !more) return {};
  const auto embed = [&](std::span<const std::string> texts) -> Result<std::vector<vision::Embedding>> {
    IE_TRY(const vision::TextEmbedder embedder, models_->text_embedder(spec));
    return embedder.embed(texts);
  };
  IE_TRY(scorer_, vision::SceneScorer::create_kept(naming.labels, naming.scale, embed,
                                                   join_path(cache_home(), "inference"), naming.key.params));
  return {};
}

Status FromVectors::open(const store::Space& space, const models::Spec& spec, bool more) {
  space_ = space;
  scorer_.reset();
  labels_.clear();
  if (run_.asked_for(kSceneStage) && names_scenes(*models_, &spec))
    if (const Status loaded = load_scenes(spec, more); !loaded)
      run_.report.notes.push_back(fmt::format("{}: left out: {}", kSceneStage, loaded.error().message));
  const std::lock_guard lock(run_.reader_mutex);
  IE_TRY(const std::vector<store::LearnedLabel> learned, run_.reader.learned_labels());
  for (const store::LearnedLabel& label : learned)
    if (label.space == space.id && label.object.empty() && !label.weights.empty())
      labels_.push_back({label.name, {label.weights, static_cast<float>(label.bias)}});
  return {};
}

Status FromVectors::keep(store::AssetId asset, std::span<const float> vector) {
  if (scorer_) {
    IE_TRY(const std::vector<vision::SceneGuess> guesses, scorer_->score(vector));
    StageOutput output = scene_output(guesses);
    IE_CHECK(run_.writer.put_record(asset, {scene_key_, "cpu", "fp32", std::move(output.data), ""}, output.facts));
  }
  return run_.writer.add_learned_labels(asset, learned(vector));
}

std::vector<store::FoundClass> FromVectors::learned(std::span<const float> vector) const {
  std::vector<store::FoundClass> found;
  for (const Label& label : labels_)
    if (const float confidence = label.head.confidence(vector); confidence >= search::kLeastConfidence)
      found.push_back({label.name, confidence, {}});
  return found;
}

Status FromVectors::keep_video(store::AssetId asset) {
  if (!scorer_ && labels_.empty()) return {};
  std::vector<std::pair<store::MomentId, std::vector<std::uint16_t>>> vectors;
  {
    const std::lock_guard lock(run_.reader_mutex);
    IE_TRY(vectors, run_.reader.moment_vectors(space_.id, asset));
  }
  IE_CHECK(run_.batch.open());
  std::vector<std::string> scenes;
  std::map<std::string, store::FoundClass> surest;  // of each learned label
  for (const auto& [moment, half] : vectors) {
    const std::vector<float> vector = from_half(half);
    store::ClassFacts labels{store::TextField::kKeywords, learned(vector)};
    for (const store::FoundClass& label : labels.classes)
      if (const auto known = surest.find(label.name);
          known == surest.end() || known->second.confidence < label.confidence)
        surest[label.name] = label;
    store::MomentRecord record{moment, kSceneStage, ""};
    std::vector<store::Fact> facts = {std::move(labels)};
    if (scorer_) {
      IE_TRY(const std::vector<vision::SceneGuess> guesses, scorer_->score(vector));
      StageOutput output = scene_output(guesses);
      record.data = std::move(output.data);
      scenes.push_back(record.data);
      std::ranges::move(output.facts, std::back_inserter(facts));
    }
    IE_CHECK(run_.writer.put_moment_record(asset, record, facts));
  }
  if (scorer_) {
    std::vector<FrameData> frames;
    for (const std::string& data : scenes) frames.push_back({0, data});
    StageOutput output = video_stage(kSceneStage)->summarize(frames, {});
    IE_CHECK(run_.writer.put_record(asset, {scene_key_, "cpu", "fp32", std::move(output.data), ""}, output.facts));
    IE_CHECK(run_.writer.drop_other_records(asset, scene_key_));
  }
  std::vector<store::FoundClass> labels;
  for (auto& [name, label] : surest) labels.push_back(std::move(label));
  return run_.writer.add_learned_labels(asset, labels);
}

Status FromVectors::catch_up() {
  if (!scorer_) return {};
  IE_TRY(const std::vector<store::AssetId> lacking, without_scene());
  Progress progress("Scenes", lacking.size(), run_.options.progress && !lacking.empty());
  for (const store::AssetId asset : lacking) {
    if (run_.cancelled()) break;
    Result<std::optional<std::vector<std::uint16_t>>> vector = std::nullopt;
    {
      const std::lock_guard lock(run_.reader_mutex);
      vector = run_.reader.vector_of(space_.id, asset);
    }
    if (!vector) return fail(vector.error());
    IE_CHECK(run_.batch.open());
    IE_CHECK(*vector ? keep(asset, from_half(**vector)) : keep_video(asset));
    run_.renewed.insert(asset);
    IE_TRY(const bool committed, run_.batch.changed());
    if (committed) IE_CHECK(run_.announce());
    progress.add();
  }
  IE_CHECK(run_.batch.commit());
  return run_.announce();
}

Status embed_tags(Run& run, const InstalledModels& models) {
  const std::string& wanted = models.config().analysis.ml_models.sentence_model;
  if (wanted == "none") return {};
  const Result<const models::Spec*> spec = models.find("sentences", wanted);
  if (!spec) {
    if (spec.error().code == ErrorCode::kInvalidArgument) run.report.notes.push_back(spec.error().message);
    return {};
  }
  const std::string model = (*spec)->name + " " + (*spec)->version;
  std::vector<std::string> lacking;
  {
    const std::lock_guard lock(run.reader_mutex);
    IE_TRY(auto terms, run.reader.terms());
    IE_TRY(const auto known, run.reader.term_vectors(model));
    std::set<std::string_view> have;
    for (const auto& [term, vector] : known) have.insert(term);
    std::ranges::stable_sort(terms, std::greater<>(), &std::pair<std::string, std::int64_t>::second);
    if (terms.size() > kMostTags) terms.resize(kMostTags);
    for (auto& [term, pictures] : terms)
      if (!have.contains(term)) lacking.push_back(std::move(term));
  }
  if (lacking.empty()) return {};
  const Result<vision::TextEmbedder> embedder = models.text_embedder(**spec);
  if (!embedder) {
    run.report.notes.push_back(fmt::format("tags: left out: {}", embedder.error().message));
    return {};
  }
  for (std::size_t from = 0; from < lacking.size() && !run.cancelled(); from += kTagsAtOnce) {
    const std::span<const std::string> part =
        std::span(lacking).subspan(from, std::min(kTagsAtOnce, lacking.size() - from));
    const Result<std::vector<vision::Embedding>> vectors = embedder->embed(part);
    if (!vectors) {
      run.report.notes.push_back(fmt::format("tags: left out: {}", vectors.error().message));
      return {};
    }
    std::vector<std::pair<std::string, std::vector<std::uint16_t>>> kept;
    for (std::size_t i = 0; i < part.size(); ++i) kept.emplace_back(part[i], to_half((*vectors)[i]));
    IE_CHECK(run.writer.put_term_vectors(model, kept));
  }
  return {};
}

}  // namespace image_engine::pipeline
