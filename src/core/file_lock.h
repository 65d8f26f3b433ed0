// Advisory locks of open files, between processes and between open files of one (flock(2)): the kernel drops a lock
// when its file is closed or its holder dies. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace image_engine {

enum class LockKind : std::uint8_t { kShared, kExclusive };

// Takes the lock, or turns the one that this open file has into that kind, if that can be done at once; false while
// another open file's is in the way. Errors name `what`.
Result<bool> try_lock(int fd, LockKind kind, std::string_view what);
// The same, and waits as long as it takes.
Status wait_for_lock(int fd, LockKind kind, std::string_view what);

// Whether `path` still is the open file: who held its lock may have removed or renamed it between our opening it and
// locking it.
bool is_at_path(int fd, const std::string& path);

}  // namespace image_engine
