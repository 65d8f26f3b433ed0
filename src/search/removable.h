// Which files of groups of duplicates can be deleted without a loss: a part of find_duplicates().
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/file_identity.h"
#include "search/duplicates.h"

namespace image_engine::search {

// A file's current state on disk, not the catalogue's.
struct Disk {
  FileIdentities identities;
  std::unordered_map<std::string, store::FileStamp> analyzed;  // of listed files

  // Whether it exists, is readable, and is unchanged since its analysis.
  [[nodiscard]] bool is_as_analyzed(const std::string& path) const;
};

// nullopt when one of them cannot be read.
std::optional<bool> same_bytes(const std::string& first, const std::string& second);

// Drops each file that is another name of an earlier one. `linked` is called with each hard link to an earlier one.
template <typename File, typename PathOf, typename Linked>
void drop_other_names(std::vector<File>& files, Disk& disk, PathOf path_of, Linked linked) {
  std::unordered_map<std::string, std::string> first_name;
  std::erase_if(files, [&](File& file) {
    const std::string& path = path_of(file);
    const std::string identity = disk.identities.identity(path);
    if (identity.empty()) return false;
    const auto [first, added] = first_name.try_emplace(identity, path);
    if (added) return false;
    if (disk.identities.compare(first->second, path) == Sameness::kSame) return true;
    linked(file);
    return false;
  });
}

// Sets DuplicateFile::removable. Each file is marked once only, and never one that another group keeps in place of a
// removable file.
void mark_removable(std::vector<DuplicateGroup>& groups, Disk& disk);

}  // namespace image_engine::search
