#include "search/removable.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "core/file.h"

namespace image_engine::search {
namespace {

// Beyond this distance of hashes, what looks near to a person may be another picture (docs/duplicates.md).
constexpr int kTrustedDistance = 6;

// Fills `buffer` up to the file's end: the number of bytes read, or nullopt on an error. Not mapped: the file may
// shrink at any time.
std::optional<size_t> read_on(int fd, std::span<std::byte> buffer) {
  size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t got = ::read(fd, buffer.data() + size, buffer.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  return size;
}

// Whether the file that is kept makes it needless.
bool is_needless(const DuplicateGroup& group, const DuplicateFile& file) {
  switch (group.kind) {
    case DuplicateKind::kExact:
      return !file.twin.empty() && !file.has_sidecar;
    case DuplicateKind::kNear:
      return file.advantages.empty() && file.is_worse && file.distance <= kTrustedDistance &&
             !group.files.front().partial;
    case DuplicateKind::kVideo:
      return file.advantages.empty() && !group.files.front().partial;
    case DuplicateKind::kBurst:
    case DuplicateKind::kSubject:
      break;
  }
  return false;
}

// A half of a pair goes only where the other half goes as well, and one pair is kept for both.
void keep_pairs_together(std::vector<DuplicateGroup>& groups) {
  std::unordered_map<std::string, DuplicateFile*> exact;
  for (DuplicateGroup& group : groups)
    if (group.kind == DuplicateKind::kExact)
      for (DuplicateFile& file : group.files) exact.emplace(file.path, &file);
  const auto find = [&](const std::string& path) -> DuplicateFile* {
    const auto found = exact.find(path);
    return found == exact.end() ? nullptr : found->second;
  };
  for (const auto& [path, file] : exact) {
    if (file->pair.empty() || !file->removable) continue;
    DuplicateFile* other = find(file->pair);
    const DuplicateFile* keeper = find(file->twin);
    const bool goes_with_it = other != nullptr && other->removable && keeper != nullptr && keeper->pair == other->twin;
    if (goes_with_it) continue;
    file->removable = false;
    if (other != nullptr) other->removable = false;
  }
}

}  // namespace

bool Disk::is_as_analyzed(const std::string& path) const {
  const auto stamp = analyzed.find(path);
  const Result<UniqueFd> file = open_regular(path);
  return stamp != analyzed.end() && file && store::stamp_of(file->get()) == stamp->second;
}

std::optional<bool> same_bytes(const std::string& first, const std::string& second) {
  constexpr size_t kChunk = size_t{256} << 10;
  const Result<UniqueFd> a = open_regular(first), b = open_regular(second);
  if (!a || !b) return std::nullopt;
  std::vector<std::byte> left(kChunk), right(kChunk);
  while (true) {
    const std::optional<size_t> from_a = read_on(a->get(), left), from_b = read_on(b->get(), right);
    if (!from_a || !from_b) return std::nullopt;
    if (*from_a != *from_b || !std::equal(left.begin(), left.begin() + static_cast<ptrdiff_t>(*from_a), right.begin()))
      return false;
    if (*from_a < kChunk) return true;
  }
}

void mark_removable(std::vector<DuplicateGroup>& groups, Disk& disk) {
  std::unordered_set<std::string> kept, offered;
  for (DuplicateGroup& group : groups) {
    const std::string& best = group.files.front().path;
    for (DuplicateFile& file : std::span(group.files).subspan(1)) {
      if (!is_needless(group, file)) continue;
      const std::string& keeper = group.kind == DuplicateKind::kExact ? file.twin : best;
      if (disk.identities.compare(keeper, file.path) != Sameness::kDistinct) continue;
      if (!disk.is_as_analyzed(keeper) || !disk.is_as_analyzed(file.path)) continue;
      const std::string keeps = disk.identities.identity(keeper), identity = disk.identities.identity(file.path);
      if (keeps.empty() || offered.contains(keeps) || kept.contains(identity)) continue;
      file.removable = true;
      offered.insert(identity);
      kept.insert(keeps);
    }
  }
  keep_pairs_together(groups);
}

}  // namespace image_engine::search
