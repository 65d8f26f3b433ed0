// What models find in the pictures of a run, and the vectors that search works with.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "pipeline/from_vectors.h"
#include "pipeline/model_stages.h"
#include "pipeline/run.h"

namespace image_engine::pipeline {

// The sink's thread only.
class Meaning {
 public:
  explicit Meaning(Run& run) : run_(run) {}

  // The stages whose models are installed; the run gets a note for each that is left out.
  Result<std::vector<PictureStage>> choose();
  // Likewise, those for frames of videos only; after choose().
  std::vector<PictureStage> choose_of_videos() { return std::move(chosen_.of_videos); }
  // Instead of choose(), for pass 3: the vectors to request from a server, if any.
  Result<std::optional<ServedStage>> choose_served();
  // Instead of begin(): keep() then takes those vectors.
  Status begin_served();
  // Call before the first picture. `stages` are those of the run, loaded where there is work for them.
  Status begin(const std::vector<PictureStage>& stages);
  // Writes the record and facts of a stage, and the scenes and labels that follow from a vector.
  Status keep(store::AssetId asset, const store::Record& record, std::span<const store::Fact> facts);
  // Writes what follows from the vectors of a video's frames, which are committed. The sink's.
  Status keep_video(store::AssetId asset);
  // Call after the last picture, and again after the last video: updates scenes whose labels have changed, embeds tags.
  Status finish();
  // Call at the end of the run: switches to another model once everything has vectors of it.
  Status change_model();
  // Those of this machine, once choose() was called; null where the registry cannot be read.
  [[nodiscard]] const std::shared_ptr<const InstalledModels>& models() const { return models_; }

 private:
  Result<bool> open_models();
  Status follow_active();
  Result<std::optional<store::Space>> space_of(const models::Spec& spec);

  Run& run_;
  std::shared_ptr<const InstalledModels> models_;
  ModelStages chosen_;
  std::map<store::StageKey, store::SpaceId> spaces_;
  store::SpaceId active_ = 0;
  bool is_pass_3_ = false;
  std::optional<FromVectors> follows_;
};

}  // namespace image_engine::pipeline
