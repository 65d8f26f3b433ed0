// The file attributes that a file system keeps between mounts; a scan recognises files by them.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"

namespace image_engine::scan {

struct FileSystem {
  // Inode numbers stay the same after a remount. If not, a file is recognised only by name, size and time, and two
  // names with the same number may be different files.
  bool stable_inodes = true;
  // Times are stored as local time: in another time zone, or with daylight saving time, all of them shift by whole
  // hours.
  bool local_times = false;
  bool operator==(const FileSystem&) const = default;
};

// By statfs(2)'s f_type; unknown types count as local disks. Thread-safe.
FileSystem file_system_of(std::uint64_t type);

// The file system of `path`, following links. Errors: those of statfs(2).
Result<FileSystem> file_system_at(const std::string& path);

// Whether two modification times (nanoseconds since 1970) may be the same: equal, or, on a file system with local
// times, at most 26 whole hours apart.
bool same_time(const FileSystem& system, std::int64_t before_ns, std::int64_t now_ns);

}  // namespace image_engine::scan
