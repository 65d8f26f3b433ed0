// Inspects a catalogue's file without SQLite: opening a database creates and removes files beside it, and may change
// the database itself.
#pragma once

#include <string>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::store {

// Opens the file at `path` for reading, without changing it; no descriptor if it does not exist yet. An empty file or
// an empty database may become a catalogue. kCorrupt for any other file or another program's database, kIo for anything
// but a regular file. Thread-safe.
Result<UniqueFd> open_catalogue_file(const std::string& path);

}  // namespace image_engine::store
