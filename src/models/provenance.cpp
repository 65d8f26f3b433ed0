#include "models/provenance.h"

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "models/spec_file.h"

namespace image_engine::models {
namespace {

using nlohmann::json;

json files_json(const std::vector<InstalledFile>& files) {
  json out = json::array();
  for (const InstalledFile& file : files)
    out.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}, {"source", file.source}});
  return out;
}

std::vector<InstalledFile> files_of(const json& list) {
  std::vector<InstalledFile> files;
  for (const json& item : list) {
    files.push_back({item.at("name"), item.at("bytes"), item.at("sha256"), item.at("source")});
    if (!is_file_name(files.back().name)) throw json::other_error::create(501, "a name that is none", nullptr);
  }
  return files;
}

}  // namespace

Result<Provenance> read_provenance(const std::string& folder) {
  const std::string path = join_path(folder, kProvenanceFile);
  IE_TRY(const std::string text, read_file(path, size_t{1} << 20));
  try {
    const json document = parse_json(text);
    Provenance provenance;
    provenance.name = document.at("name");
    provenance.version = document.at("version");
    provenance.licence = document.at("licence");
    provenance.spec = document.at("spec");
    provenance.at = document.at("installed");
    provenance.program = document.at("program");
    provenance.files = files_of(document.at("files"));
    provenance.made_from = files_of(document.at("made_from"));
    return provenance;
  } catch (const json::exception&) {
    return fail(ErrorCode::kCorrupt, printable(path) + " is invalid");
  }
}

Status write_provenance(const std::string& folder, const Provenance& provenance) {
  const nlohmann::ordered_json document = {{"name", provenance.name},
                                           {"version", provenance.version},
                                           {"licence", provenance.licence},
                                           {"installed", provenance.at},
                                           {"program", provenance.program},
                                           {"spec", provenance.spec},
                                           {"files", files_json(provenance.files)},
                                           {"made_from", files_json(provenance.made_from)}};
  return write_file_atomically(join_path(folder, kProvenanceFile), json_text(document, 2) + "\n");
}

}  // namespace image_engine::models
