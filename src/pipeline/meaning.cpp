#include "pipeline/meaning.h"

#include <fmt/format.h>

#include <algorithm>

#include "pipeline/labels.h"
#include "pipeline/stages.h"

namespace image_engine::pipeline {

// False when no model is installed.
Result<bool> Meaning::open_models() {
  std::vector<store::Space> spaces;
  {
    const std::lock_guard lock(run_.reader_mutex);
    IE_TRY(spaces, run_.reader.spaces(kEmbeddingStage));
  }
  Result<InstalledModels> models = InstalledModels::open(run_.options.models, run_.options.config, run_.options.engine);
  if (!models) {
    if (!is_pass_3_) run_.report.notes.push_back("models: left out: " + models.error().message);
    return false;
  }
  models->measure_later();
  models_ = std::make_shared<const InstalledModels>(std::move(*models));
  chosen_ = model_stages(models_, spaces, run_.options.upgrade_embedding);
  return true;
}

Result<std::vector<PictureStage>> Meaning::choose() {
  IE_TRY(const bool opened, open_models());
  if (!opened) return std::vector<PictureStage>{};
  std::ranges::copy(chosen_.notes, std::back_inserter(run_.report.notes));
  run_.announces_late = run_.announces_late || chosen_.next != nullptr;
  return std::move(chosen_.stages);
}

Result<std::optional<ServedStage>> Meaning::choose_served() {
  is_pass_3_ = true;
  IE_TRY(const bool opened, open_models());
  if (!opened || !run_.asked_for(kEmbeddingStage)) return std::nullopt;
  return chosen_.served;
}

Status Meaning::begin_served() {
  IE_TRY(const store::Space space, run_.writer.open_space(chosen_.served->key, chosen_.served->dimensions));
  spaces_[space.key] = space.id;
  return follow_active();
}

Result<std::optional<store::Space>> Meaning::space_of(const models::Spec& spec) {
  const std::lock_guard lock(run_.reader_mutex);
  IE_TRY(const std::vector<store::Space> spaces, run_.reader.spaces(kEmbeddingStage));
  const auto space = std::ranges::find(spaces, model_key(kEmbeddingStage, spec), &store::Space::key);
  return space == spaces.end() ? std::nullopt : std::optional(*space);
}

Status Meaning::begin(const std::vector<PictureStage>& stages) {
  const PhaseClock::Scope phase(run_.clock, run_.report.loading);
  for (const PictureStage& stage : stages)
    if (stage.dimensions > 0 && stage.is_loaded()) {
      IE_TRY(const store::Space space, run_.writer.open_space(stage.key, stage.dimensions));
      spaces_[stage.key] = space.id;
    }
  return follow_active();
}

Status Meaning::follow_active() {
  if (chosen_.active == nullptr) return {};
  IE_TRY(const std::optional<store::Space> active, space_of(*chosen_.active));
  if (!active) return {};
  active_ = active->id;
  follows_.emplace(run_, models_);
  return follows_->open(*active, *chosen_.active, spaces_.contains(active->key));
}

Status Meaning::keep(store::AssetId asset, const store::Record& record, std::span<const store::Fact> facts) {
  IE_CHECK(run_.writer.put_record(asset, record, facts));
  for (const store::Fact& fact : facts) {
    const auto* vector = std::get_if<store::VectorFact>(&fact);
    if (vector != nullptr && follows_ && spaces_.at(vector->space) == active_)
      IE_CHECK(follows_->keep(asset, vector->numbers));
  }
  return {};
}

Status Meaning::keep_video(store::AssetId asset) { return follows_ ? follows_->keep_video(asset) : Status{}; }

// Search uses the old model until every picture and video that can be embedded has vectors of the new one.
Status Meaning::change_model() {
  // A server's vectors come in pass 3.
  const bool has_all = chosen_.next != nullptr && (is_pass_3_ || chosen_.next->server.empty());
  if (!has_all || !run_.asked_for(kEmbeddingStage) || run_.cancelled()) return {};
  IE_TRY(const std::optional<store::Space> next, space_of(*chosen_.next));
  if (!next) return {};
  store::PendingQuery query;
  query.stages = {{next->key, MediaKind::kPhoto}};
  if (run_.options.config.video.enabled && !is_pass_3_) query.stages.push_back({next->key, MediaKind::kVideo});
  query.gates = {metadata_key(), content_key(), decode_key()};
  IE_TRY(const std::vector<store::PendingFile> waiting, run_.writer.pending(query));
  const auto files = std::ranges::count_if(waiting, [](const store::PendingFile& file) {
    return std::ranges::find(file.stages, kEmbeddingStage) != file.stages.end();
  });
  if (files > 0) {
    run_.report.notes.push_back(
        fmt::format("embedding: {} elsewhere not yet embedded with {}: search uses the previous model "
                    "until `analyze --upgrade embedding` has processed their folders, too",
                    human_count(static_cast<std::uint64_t>(files), "file is", "files are"), chosen_.next->name));
    return {};
  }
  if (is_pass_3_)
    run_.report.notes.push_back(
        fmt::format("embedding: videos are not found by what they show: {} runs on a server, which gets photos only",
                    chosen_.next->name));
  IE_CHECK(run_.writer.activate_space(next->id));
  active_ = next->id;
  run_.report.notes.push_back(fmt::format("embedding: search now uses {}", chosen_.next->name));
  follows_.emplace(run_, models_);
  IE_CHECK(follows_->open(*next, *chosen_.next, false));
  IE_CHECK(follows_->catch_up());
  return relearn_labels(run_, *models_, *next);
}

Status Meaning::finish() {
  const PhaseClock::Scope phase(run_.clock, run_.report.vectors);
  if (models_ == nullptr) return {};
  if (follows_) {
    IE_CHECK(follows_->catch_up());
    IE_CHECK(catch_up_object_labels(run_, *models_, follows_->space()));
  }
  const bool compares_text = chosen_.active != nullptr && !chosen_.active->text.tokenizer.empty();
  return compares_text || run_.cancelled() ? Status{} : embed_tags(run_, *models_);
}

bool asks_for_vectors(const AnalyzeOptions& options) {
  std::vector<store::Space> spaces;
  if (const auto reader = store::CatalogueReader::open(options.catalogue))
    if (auto known = reader->spaces(kEmbeddingStage)) spaces = std::move(*known);
  Result<InstalledModels> models = InstalledModels::open(options.models, options.config);
  if (!models) return false;
  const auto kept = std::make_shared<const InstalledModels>(std::move(*models));
  return model_stages(kept, spaces, options.upgrade_embedding).served.has_value();
}

}  // namespace image_engine::pipeline
