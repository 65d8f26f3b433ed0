// provenance.json: what was installed, when, from where. It lies in each model's folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::models {

struct InstalledFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string sha256;
  std::string source;  // as the spec writes it, or "converted by <tool>"
};

struct Provenance {
  std::string name, version, licence;
  std::string spec;     // install_hash() of what was installed
  std::string at;       // when, UTC
  std::string program;  // "image-engine 0.1.0"
  std::vector<InstalledFile> files;
  std::vector<InstalledFile> made_from;  // what was fetched for the conversion; empty without one
};

inline constexpr const char* kProvenanceFile = "provenance.json";

// kNotFound when it does not exist, kCorrupt when it is invalid.
Result<Provenance> read_provenance(const std::string& folder);
Status write_provenance(const std::string& folder, const Provenance& provenance);

}  // namespace image_engine::models
