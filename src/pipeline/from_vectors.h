// What follows from a picture's vector alone, without analyzing the picture again: scenes, learned labels.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipeline/installed_models.h"
#include "pipeline/run.h"
#include "search/linear_head.h"
#include "vision/scenes.h"

namespace image_engine::pipeline {

// Scenes by comparing vectors of a space with labels.
struct SceneNaming {
  vision::SceneLabels labels;
  double scale = 0;
  store::StageKey key;  // of the records
};
// With the configured labels. `space`: the key of the vectors, which `spec` makes. Errors: those of reading the labels.
Result<SceneNaming> scene_naming(const InstalledModels& models, const store::StageKey& space, const models::Spec& spec);

class FromVectors {
 public:
  FromVectors(Run& run, std::shared_ptr<const InstalledModels> models) : run_(run), models_(std::move(models)) {}

  // Opens the labels that were learned in this space, whose vectors `spec` makes, and, where so configured, scenes, if
  // there is work for them (`more`: new vectors will come). What cannot be opened becomes a note.
  Status open(const store::Space& space, const models::Spec& spec, bool more);

  [[nodiscard]] const store::Space& space() const { return space_; }

  // Writes what follows from a new vector. The sink's.
  Status keep(store::AssetId asset, std::span<const float> vector);
  // Likewise for a video, from the vectors of all its frames, which are committed. The sink's.
  Status keep_video(store::AssetId asset);

  // Scenes of all pictures and videos of the space that lack one.
  Status catch_up();

 private:
  Status load_scenes(const models::Spec& spec, bool more);
  [[nodiscard]] std::vector<store::FoundClass> learned(std::span<const float> vector) const;
  Result<std::vector<store::AssetId>> without_scene();

  Run& run_;
  std::shared_ptr<const InstalledModels> models_;
  store::Space space_;
  std::optional<vision::SceneScorer> scorer_;
  store::StageKey scene_key_;
  struct Label {
    std::string name;
    search::LinearHead head;
  };
  std::vector<Label> labels_;
};

// With tags' vectors, `search` finds tags that mean what a query says. Made for tags that lack them, where a model for
// sentences is installed.
Status embed_tags(Run& run, const InstalledModels& models);

}  // namespace image_engine::pipeline
