// Adding a model of the user's: a file and its spec.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "models/pull.h"
#include "models/registry.h"
#include "models/store.h"

namespace image_engine::models {

struct AddRequest {
  std::string file;    // the model
  std::string spec;    // a YAML file of one model, for read_spec(); or
  std::string as;      // the known model, by name or alias, that this is a file of
  std::string labels;  // a label file (label_file.h); empty: the spec's
  std::string task;    // empty: the spec's
  std::string name;    // likewise
  std::string folder;  // of the user's specs
};

struct AddedModel {
  Spec spec;
  std::vector<std::string> notes;  // for people: what of the spec is left out, and why
};

// Copies the model into the store and writes its completed spec to `<folder>/<name>.added.yaml`. Also copies, when they
// are in the model's own folder, files that the spec names without sources, its vocabulary, variants of other
// precisions and of its text tower, FILE.data and FILE_data. FILE is the variant of its name, else the first one. Of a
// known model of several files, FILE is one of them, by the spec's name or another with the part's name in it.
// Errors: kInvalidArgument (the spec; a name that is taken; a missing label file), kUnsupported (.etlt; a pickle), as
// pull(); on an error nothing is left behind.
Result<AddedModel> add_model(const AddRequest& request, const Registry& registry, const Store& store,
                             const PullOptions& options);

// Removes the model's files, and its spec if add_model() wrote it. kNotFound when there is neither.
Status remove_model(const Spec& spec, const Store& store, const std::string& folder, const PullOptions& options);

}  // namespace image_engine::models
