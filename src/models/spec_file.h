// Specs as text: how config/models.yaml and the user's own files are read and written. docs/models.md has the format.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "models/spec.h"

namespace image_engine::models {

using SpecMap = std::map<std::string, Spec, std::less<>>;

// Reads a document of specs. `like:` finds those of the document, then those of `known`. With `complete` false, files
// may lack their sources and checksums and there may be none: what `models add` fills in.
// Errors: as Catalogue::load.
Result<SpecMap> read_specs(const std::string& file, const SpecMap& known, bool complete = true);

// The spec under the keys of the file's format, all of them; JSON is YAML, so that this can be read again.
nlohmann::json spec_json(const Spec& spec);
// A document that read_specs takes, of this spec alone.
std::string spec_text(const Spec& spec);

// Of the spec, what decides which bytes are installed; and its hash, in hex.
nlohmann::json install_json(const Spec& spec);
std::string install_hash(const Spec& spec);
// The files that an installed model has: those fetched, or where they are converted, what comes of them.
const std::vector<FileSpec>& installed_files(const Spec& spec);

// [a-z0-9._-]+, not starting with a dot.
bool is_model_name(std::string_view name);
// A name that a file in a model's folder can have: no slash, no dot at the start.
bool is_file_name(std::string_view name);

}  // namespace image_engine::models
