// Vectors of what is said, by the model for sentences: with them, search finds speech by its meaning.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/installed_models.h"
#include "pipeline/run.h"
#include "types/transcript.h"
#include "vision/embedder.h"

namespace image_engine::pipeline {

// Of the space of vectors that this model makes of passages (types/passages.h).
store::StageKey speech_meaning_key(const models::Spec& spec);

class SpeechVectors {
 public:
  using Embed = std::function<Result<std::vector<vision::Embedding>>(std::span<const std::string>)>;

  // Nothing when the configuration names no model for sentences, or none is installed. Errors: kInvalidArgument when it
  // names something else. The model is loaded for the first passage. `models` must outlive the result.
  static Result<std::optional<SpeechVectors>> create(const InstalledModels& models);
  SpeechVectors(store::StageKey key, Embed embed) : key_(std::move(key)), embed_(std::move(embed)) {}

  [[nodiscard]] const store::StageKey& key() const { return key_; }

  // The vectors of passages, each with the index of its first segment. Segments are in the order of time. Takes about
  // 10 ms a passage. One thread at a time. Errors are the model's.
  using Passages = std::vector<std::pair<std::size_t, vision::Embedding>>;
  [[nodiscard]] Result<Passages> embed(std::span<const SpeechSegment> segments) const;

  // Replaces the asset's vectors by these; `moments`: those of the segments, which are in the catalogue. Call within a
  // transaction of the writer's, by its thread.
  Status write(store::CatalogueWriter& writer, store::AssetId asset, const Passages& passages,
               std::span<const store::MomentId> moments) const;

 private:
  store::StageKey key_;
  Embed embed_;
};

// Makes vectors for all assets whose speech has none by the current model: it was analyzed in this run, or before the
// model was installed, or another model was used. Reads only the catalogue. Once no asset lacks them, search uses them.
// What prevents it becomes a note. The sink's, between passes.
Status embed_speech(Run& run);

}  // namespace image_engine::pipeline
