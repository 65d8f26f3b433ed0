// SHA-2 of files.
#pragma once

#include <string>

#include "core/result.h"

namespace image_engine::models {

// Lower-case hex of the file's SHA-256.
Result<std::string> sha256_of(const std::string& path);

// Whether the file has this checksum: "sha256-<base64>", "sha384-…" or "sha512-…" as npm writes them. kUnsupported for
// another algorithm, kCorrupt when it differs.
Status check_integrity(const std::string& path, const std::string& integrity);

}  // namespace image_engine::models
