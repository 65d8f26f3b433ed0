// Models of the user's own: a file and a spec for it.
#pragma once

#include <string>

#include "core/result.h"
#include "models/pull.h"
#include "models/registry.h"
#include "models/store.h"

namespace image_engine::models {

struct AddRequest {
  std::string file;    // the model
  std::string spec;    // a YAML of one model, as read_spec() takes it
  std::string task;    // empty: as the spec says
  std::string name;    // likewise
  std::string folder;  // of the user's specs
};

// Copies the model into the store and writes its spec, made complete, to `<folder>/<name>.added.yaml`. Files that the
// spec names without sources, those of its text tower, and FILE.data and FILE_data, go with it when they lie in its
// folder themselves. Errors: kInvalidArgument (the spec; a name that is taken), kUnsupported (.etlt), as pull(); then
// nothing is left.
Result<Spec> add_model(const AddRequest& request, const Registry& registry, const Store& store,
                       const PullOptions& options);

// Removes the model's files, and its spec where add_model() wrote it. kNotFound when there is neither.
Status remove_model(const Spec& spec, const Store& store, const std::string& folder, const PullOptions& options);

}  // namespace image_engine::models
