// Installed models: one folder each, <root>/<name>/, with the files and provenance.json. A folder appears complete or
// not at all: it is filled under another name and renamed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "models/registry.h"

namespace image_engine::models {

enum class Presence : std::uint8_t {
  kAbsent,
  kInstalled,
  kOutdated,  // installed from another spec; `models pull` updates it
  kDamaged,   // a file is missing or has another size
  kServed,    // run by a server; nothing is installed
};
std::string_view presence_name(Presence presence);

class Store {
 public:
  // `root`: config models.folder, or $XDG_DATA_HOME/image-engine/models. `packed`: models that came with the program,
  // used where `root` has none of that name, never written to; may be absent. The constructor creates and checks
  // nothing.
  explicit Store(std::string root, std::string packed = {}) : root_(std::move(root)), packed_(std::move(packed)) {}
  [[nodiscard]] const std::string& root() const { return root_; }
  // The folder that it is installed to.
  [[nodiscard]] std::string folder(const Spec& spec) const;
  // The folder that it is read from: folder(), or the packed one.
  [[nodiscard]] std::string found_in(const Spec& spec) const;
  // Cheap: compares names and sizes with provenance.json. verify() checks hashes.
  [[nodiscard]] Presence presence(const Spec& spec) const;
  // Reads every byte. kCorrupt names the file, what was expected and the remedy; kNotFound when it is absent.
  [[nodiscard]] Status verify(const Spec& spec) const;
  // The path of the variant's file, "" when not installed.
  [[nodiscard]] std::string variant_path(const Spec& spec, const Variant& variant) const;
  // The path of the engine that the spec names, "" when it names none.
  [[nodiscard]] std::string engine_path(const Spec& spec) const;

 private:
  std::string root_, packed_;
};

// The model for `task`: the one that the configuration names, or for "auto" the installed one of highest preference,
// never a server's. When none is installed, `missing` is the one that `models pull` would install. kInvalidArgument for
// an unknown name or one of another task.
struct Choice {
  const Spec* spec = nullptr;     // null: none is installed
  const Spec* missing = nullptr;  // set when spec is null
};
Result<Choice> choose(const Registry& registry, const Store& store, std::string_view task, std::string_view wanted);

}  // namespace image_engine::models
