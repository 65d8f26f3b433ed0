// The models that this program knows of: config/models.yaml, then the user's own specs. Read once; a plain value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "models/spec.h"

namespace image_engine::models {

class Registry {
 public:
  // `shipped`: a file of specs; `added`: the folder of `models add` (may be absent), whose specs win over shipped ones
  // of the same name. Errors: kInvalidArgument names file, line, key, and what is allowed or the nearest key (unknown
  // key, wrong type, `like:` that leads to itself or nowhere, a file name with a slash, a label file whose length is
  // not what the spec says, …).
  static Result<Registry> load(const std::string& shipped, const std::string& added);

  [[nodiscard]] const std::vector<Spec>& specs() const { return specs_; }
  // What the server of served models calls the one that it makes vectors with: another model, other vectors.
  void name_served(const std::string& model);
  // kNotFound names the nearest.
  [[nodiscard]] Result<const Spec*> find(std::string_view name) const;

 private:
  std::vector<Spec> specs_;  // by name
};

// One spec of a file that holds just one (`models add --spec`); `like:` finds those of `known`. Its files may lack
// sources and checksums, and may be none: add_model() completes them.
Result<Spec> read_spec(const std::string& file, const Registry& known);

}  // namespace image_engine::models
