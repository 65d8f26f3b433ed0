// Detects names of the same file. Deleting a file by one name may delete it under all of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine {

enum class Sameness : std::uint8_t {
  kDistinct,  // two files: deleting one keeps the other
  kSame,      // one directory entry by two names: a link to it, a mount, another letter case
  kHardLink,  // two directory entries of one file: neither takes space of its own
  kUnknown,   // one cannot be examined, or may be the other file through another mount
};

// Compares files as they are now. Caches folders and mounts: create a new one for each command. Opens only folders,
// none for writing. One thread at a time.
class FileIdentities {
 public:
  FileIdentities();
  // A string that all names of a file share, as far as file systems reveal it; empty if the file cannot be examined.
  std::string identity(const std::string& path);
  // Whether the path contains a symbolic link, or is not a real path.
  bool is_link(const std::string& path) { return !look_up(path).is_real; }
  // Absolute paths.
  Sameness compare(const std::string& one, const std::string& other);

 private:
  // How reliable a file system's inode numbers and folders are.
  enum class Kind : std::uint8_t {
    kLocal,      // a disk of this machine, or memory: (device, inode) is the file
    kNamed,      // exFAT, FAT, NTFS: inode numbers may change, but a folder's entries are distinct files
    kOneMount,   // NFS, overlays: like kLocal within one mount; another mount may contain the same files
    kElsewhere,  // other networks, FUSE, unknown types: two names may always be one file
  };
  struct Mount {
    std::uint64_t id = 0;
    std::string point, root;
    std::string origin;  // the mounted disk, share or memory
    Kind kind = Kind::kElsewhere;
  };
  struct Known {
    bool found = false;
    bool is_real = false;  // no link in its path
    std::uint64_t device = 0, inode = 0, links = 0;
    std::string location;  // the mount's origin and the path in it as its folders spell it
    const Mount* mount = nullptr;
    Kind kind = Kind::kElsewhere;
  };
  const Known& look_up(const std::string& path);
  [[nodiscard]] const Mount* mount_of(const std::string& path) const;
  std::optional<std::string> spelled(const std::string& path);
  const std::set<std::string>& names_in(const std::string& folder);

  std::vector<Mount> mounts_;
  std::map<std::string, Known> files_;
  std::map<std::string, std::set<std::string>> folders_;
};

}  // namespace image_engine
