// Classes that a person teaches by a few examples: `label NAME --add … --not …`.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "pipeline/installed_models.h"
#include "store/catalogue.h"
#include "store/writer_lock.h"

namespace image_engine::pipeline {

struct LabelRequest {
  std::string catalogue;            // path
  std::string name;                 // of the label
  std::vector<std::string> add;     // absolute paths of catalogued photos that show it
  std::vector<std::string> reject;  // … that do not
  std::vector<std::string> forget;  // … that are no longer examples
  // Classifies crops of the objects of this detector's class instead of whole pictures; "auto": the class that most
  // examples show. nullopt: unchanged; whole pictures for a new label.
  std::optional<std::string> object;
  Config config;
  models::InstallPaths models;
  bool progress = false;  // on stderr
  std::stop_token stop;
};

struct LabelReport {
  store::LearnedLabel label;
  std::vector<std::string> notes;  // for a person
  double train_seconds = 0, apply_seconds = 0;
};

// Keeps the examples, trains the label's head on all of them and applies it to the whole library. Errors: kNotFound for
// a file that is not catalogued or has no vector (with the remedy), kInvalidArgument for an unusable name, for a file
// that is both an example and a counterexample, or when no positive example is left. On an error nothing has changed.
Result<LabelReport> teach_label(const LabelRequest& request, store::WriterLock lock);

struct Run;
// Retrains every label on this space's vectors; one that cannot be trained keeps its findings, with a note.
Status relearn_labels(Run& run, const InstalledModels& models, const store::Space& space);
// Applies labels of objects to pictures that they were not applied to yet.
Status catch_up_object_labels(Run& run, const InstalledModels& models, const store::Space& space);

}  // namespace image_engine::pipeline
