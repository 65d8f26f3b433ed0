// The known models: config/models.yaml, then the user's own specs. Read once; a plain value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "models/spec.h"

namespace image_engine::models {

class Registry {
 public:
  // `shipped`: a file of specs; `added`: the folder of `models add` (may be absent), whose specs override shipped ones
  // of the same name. Errors: kInvalidArgument names file, line, key, and the allowed values or the nearest key
  // (unknown key, wrong type, a cyclic or unknown `like:`, a file name with a slash, a label file of the wrong length,
  // …).
  static Result<Registry> load(const std::string& shipped, const std::string& added);

  [[nodiscard]] const std::vector<Spec>& specs() const { return specs_; }
  // Sets the server's name of its embedding model: another model makes other vectors.
  void name_served(const std::string& model);
  // By name or alias. kNotFound names the nearest one, with the command that installs it.
  [[nodiscard]] Result<const Spec*> find(std::string_view name) const;

 private:
  std::vector<Spec> specs_;  // by name
};

// Reads a file with exactly one spec (`models add --spec`); `like:` may name those of `known`. Its files may be absent
// or lack sources and checksums: add_model() adds them.
Result<Spec> read_spec(const std::string& file, const Registry& known);

}  // namespace image_engine::models
