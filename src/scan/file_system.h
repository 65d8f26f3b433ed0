// What a file system keeps of a file from one mount to the next: by that a scan knows files again.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"

namespace image_engine::scan {

struct FileSystem {
  // A file's inode number stays its own, also after the file system was mounted anew. Where it does not, a file is
  // known by name, size and time only, and two names with one number are not sure to be one file.
  bool stable_inodes = true;
  // Times are kept as a clock on the wall shows them: with another zone, or in summer, all of them are whole hours off.
  bool local_times = false;
  bool operator==(const FileSystem&) const = default;
};

// By statfs(2)'s f_type; what is not known is taken for a local disk's. Thread-safe.
FileSystem file_system_of(std::uint64_t type);

// The file system that `path` lies on, through links. Errors: those of statfs(2).
Result<FileSystem> file_system_at(const std::string& path);

// Whether two times of modification (nanoseconds since 1970) may be one: equal, or on a file system with local times
// whole hours apart, and no more than zones are (26).
bool same_time(const FileSystem& system, std::int64_t before_ns, std::int64_t now_ns);

}  // namespace image_engine::scan
