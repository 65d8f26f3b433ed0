// Advisory locks of open files, between processes and between open files of one (flock(2)): the kernel drops a lock
// when its file is closed or its holder dies. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace image_engine {

enum class LockKind : std::uint8_t { kShared, kExclusive };

// Takes the lock, or converts this open file's lock to `kind`, without waiting; false if another open file's lock
// prevents it. Errors name `what`.
Result<bool> try_lock(int fd, LockKind kind, std::string_view what);
// The same, but waits without a limit.
Status wait_for_lock(int fd, LockKind kind, std::string_view what);

// Whether `path` is still the open file: the lock's holder may have removed or renamed it between our open and lock.
bool is_at_path(int fd, const std::string& path);

}  // namespace image_engine
