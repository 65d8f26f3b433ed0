// Which names lead to one file. What a person deletes by one name is gone by all of them.
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
  kDistinct,  // two files: one can go, and the other stays
  kSame,      // one directory entry by two names: a link to it, a mount, another letter case
  kHardLink,  // two directory entries of one file: neither takes room of its own
  kUnknown,   // one of them cannot be examined, or lies where another mount may show the other's file
};

// Compares files as they are now. Remembers folders and mounts that it has seen: make a new one for each answer to a
// person. Opens folders only, and none for writing. One thread at a time.
class FileIdentities {
 public:
  FileIdentities();
  // A text that all names of a file share, as far as file systems say; empty where the file cannot be examined.
  std::string identity(const std::string& path);
  // Whether the path goes through a symbolic link, or is none itself.
  bool is_link(const std::string& path) { return !look_up(path).is_real; }
  // Absolute paths.
  Sameness compare(const std::string& one, const std::string& other);

 private:
  // How far a file system's inode numbers and folders can be trusted.
  enum class Kind : std::uint8_t {
    kLocal,      // a disk of this machine, or memory: (device, inode) is the file
    kNamed,      // exFAT, FAT, NTFS: inode numbers may change, but a folder's entries are what there is
    kOneMount,   // NFS, overlays: like kLocal within one mount; another mount may show the same files
    kElsewhere,  // other networks, FUSE, whatever is not known: two names may always be one file
  };
  struct Mount {
    std::uint64_t id = 0;
    std::string point, root;
    std::string origin;  // the disk, share or memory that it shows
    Kind kind = Kind::kElsewhere;
  };
  struct Known {
    bool found = false;
    bool is_real = false;  // no link in its path
    std::uint64_t device = 0, inode = 0, links = 0;
    std::string place;  // the mount's origin and the names in it as its folders spell them
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
