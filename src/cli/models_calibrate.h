// `models calibrate`: a model in int8, with ranges from the user's own photos.
#pragma once

#include <string>

#include "cli/app.h"
#include "models/spec.h"
#include "models/store.h"

namespace image_engine::cli {

struct CalibrateFlags {
  std::string name, photos;
  bool remove = false;
};

// The command. Errors: kInvalidArgument (no such model), kNotFound (it is not installed; no photos), kUnsupported (not
// a model for pictures; the int8 graph does not agree with it), those of models::run_script(). On an error an existing
// graph stays.
Result<int> calibrate_model(const Context& context, const CalibrateFlags& flags);

// The int8 graph of the installed model, "" when there is none.
std::string calibrated_graph(const models::Store& store, const models::Spec& spec);

}  // namespace image_engine::cli
