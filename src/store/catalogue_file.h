// What lies where a catalogue is to be, told without SQLite: opening a database makes and removes files beside it, and
// may change the database itself.
#pragma once

#include <string>

#include "core/file.h"
#include "core/result.h"

namespace image_engine::store {

// The file at `path`, open for reading and unchanged; no descriptor where there is none yet. An empty file or an empty
// database may become a catalogue. kCorrupt for any other file or another program's database, kIo for what is no
// regular file. Thread-safe.
Result<UniqueFd> open_catalogue_file(const std::string& path);

}  // namespace image_engine::store
