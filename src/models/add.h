// Adding a model of the user's: a file and its spec.
#pragma once

#include <string>

#include "core/result.h"
#include "models/pull.h"
#include "models/registry.h"
#include "models/store.h"

namespace image_engine::models {

struct AddRequest {
  std::string file;    // the model
  std::string spec;    // a YAML file of one model, for read_spec()
  std::string task;    // empty: the spec's
  std::string name;    // likewise
  std::string folder;  // of the user's specs
};

// Copies the model into the store and writes its completed spec to `<folder>/<name>.added.yaml`. Also copies, when they
// are in the model's own folder, files that the spec names without sources, those of its text tower, FILE.data and
// FILE_data. Errors: kInvalidArgument (the spec; a name that is taken), kUnsupported (.etlt), as pull(); on an error
// nothing is left behind.
Result<Spec> add_model(const AddRequest& request, const Registry& registry, const Store& store,
                       const PullOptions& options);

// Removes the model's files, and its spec if add_model() wrote it. kNotFound when there is neither.
Status remove_model(const Spec& spec, const Store& store, const std::string& folder, const PullOptions& options);

}  // namespace image_engine::models
