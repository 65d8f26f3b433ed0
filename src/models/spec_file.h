// Reads and writes specs as YAML: config/models.yaml and the user's files. docs/models.md has the format.
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

// The name of the licence where a spec states none: `like:` copies no licence.
inline constexpr char kUnstatedLicence[] = "unstated";

// Reads a document of specs. `like:` names one of the document, else of `known`. Unless `complete`, files may be absent
// or lack sources and checksums, which `models add` fills in. Errors: as Registry::load().
Result<SpecMap> read_specs(const std::string& file, const SpecMap& known, bool complete = true);

// The spec with all keys of the file's format; JSON is valid YAML, so read_specs() can read it.
nlohmann::json spec_json(const Spec& spec);
// A document for read_specs() with only this spec.
std::string spec_text(const Spec& spec);

// The parts of the spec that determine the installed bytes; and their hex hash.
nlohmann::json install_json(const Spec& spec);
std::string install_hash(const Spec& spec);
// The files of an installed model: the fetched ones, or the outputs of its conversion.
const std::vector<FileSpec>& installed_files(const Spec& spec);

// [a-z0-9._-]+, not starting with a dot.
bool is_model_name(std::string_view name);
// A valid name for a file in a model's folder: no slash, no leading dot.
bool is_file_name(std::string_view name);

}  // namespace image_engine::models
