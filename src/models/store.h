// Models on this machine: one folder each, <root>/<name>/, with the files and provenance.json.
// A folder is there whole or not at all: it is filled beside and renamed.
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
  kOutdated,  // installed from another spec: `models pull` renews it
  kDamaged,   // a file is gone or has another size
  kServed,    // nothing is installed: a server is asked
};
std::string_view presence_name(Presence presence);

class Store {
 public:
  // `root`: config models.folder, or $XDG_DATA_HOME/image-engine/models. `packed`: models that came with the program,
  // used where `root` has none of that name, never written to; may be absent. Nothing is made or checked yet.
  explicit Store(std::string root, std::string packed = {}) : root_(std::move(root)), packed_(std::move(packed)) {}
  [[nodiscard]] const std::string& root() const { return root_; }
  // Where it is installed to.
  [[nodiscard]] std::string folder(const Spec& spec) const;
  // Where it is found: folder(), or that of the packed one.
  [[nodiscard]] std::string found_in(const Spec& spec) const;
  // Cheap: names and sizes against provenance.json. Hashes are `verify`'s.
  [[nodiscard]] Presence presence(const Spec& spec) const;
  // Reads every byte. kCorrupt names the file, what it should be and what to do; kNotFound when it is absent.
  [[nodiscard]] Status verify(const Spec& spec) const;
  // The path of the variant's file, "" when not installed.
  [[nodiscard]] std::string variant_path(const Spec& spec, const Variant& variant) const;
  // The path of the engine that the spec names, "" when it names none.
  [[nodiscard]] std::string engine_path(const Spec& spec) const;

 private:
  std::string root_, packed_;
};

// The model that does `task`: the one named in the configuration, or for "auto" the installed one of highest
// preference, never one of a server. nullopt: none is installed (`missing` then says which one `models pull` would
// bring). kInvalidArgument for a name that is none or is of another task.
struct Choice {
  const Spec* spec = nullptr;     // null: none is installed
  const Spec* missing = nullptr;  // set when spec is null
};
Result<Choice> choose(const Registry& registry, const Store& store, std::string_view task, std::string_view wanted);

}  // namespace image_engine::models
