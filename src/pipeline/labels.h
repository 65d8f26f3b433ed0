// Classes that a person teaches by a few examples: `label NAME --add … --not …`.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"
#include "pipeline/installed_models.h"
#include "store/catalogue.h"
#include "store/writer_lock.h"

namespace image_engine::pipeline {

struct LabelRequest {
  std::string catalogue;            // path
  std::string name;                 // of the label
  std::vector<std::string> add;     // absolute paths of catalogued photos that show it
  std::vector<std::string> reject;  // … that do not
  std::vector<std::string> forget;  // … that are examples no longer
  // Looks at crops of the objects that a detector found, not at whole pictures: a detector's class, or "auto" for the
  // one that most examples show. nullopt: as the label is, whole pictures for a new one.
  std::optional<std::string> object;
  Config config;
  models::Places models;
  bool progress = false;  // on stderr
  std::stop_token stop;
};

struct LabelReport {
  store::LearnedLabel label;
  std::vector<std::string> notes;  // for a person
  double train_seconds = 0, apply_seconds = 0;
};

// Keeps the examples, trains the label's head on all of them and applies it to the whole library. Errors: kNotFound for
// a file that is not catalogued or has no vector (says what to do), kInvalidArgument for an unusable name, a file that
// is both an example and none, or when no positive example is left. On an error nothing has changed.
Result<LabelReport> teach_label(const LabelRequest& request, store::WriterLock lock);

struct Run;
// Trains every label anew on this space's vectors; one that cannot be trained keeps what was found, with a note.
Status relearn_labels(Run& run, const InstalledModels& models, const store::Space& space);
// Applies the labels of objects to pictures that are new to them.
Status catch_up_object_labels(Run& run, const InstalledModels& models, const store::Space& space);

}  // namespace image_engine::pipeline
