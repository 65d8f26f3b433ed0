#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <unordered_map>

#include "core/file.h"
#include "core/progress.h"
#include "core/text.h"
#include "pipeline/run.h"
#include "pipeline/stages.h"
#include "scan/file_system.h"
#include "scan/name_time.h"
#include "scan/scan.h"

namespace image_engine::pipeline {
namespace {

constexpr char kScanStage[] = "scan";

store::StageKey scan_key() { return {kScanStage, "", "1", ""}; }

// A file's content regardless of its path: identifies a moved file in pass 1.
struct Identity {
  std::uint64_t device, inode;
  std::int64_t size, mtime_ns;
  bool operator==(const Identity&) const = default;
};

struct IdentityHash {
  size_t operator()(const Identity& id) const {
    size_t hash = 0;
    for (const auto part :
         {id.device, id.inode, static_cast<std::uint64_t>(id.size), static_cast<std::uint64_t>(id.mtime_ns)})
      hash = (hash ^ part) * 0x9E3779B97F4A7C15ULL;
    return hash ^ (hash >> 32);
  }
};

Identity identity_of(const store::FileObservation& seen) {
  return {seen.device, seen.inode, seen.stamp.size, seen.stamp.mtime_ns};
}

store::FileObservation observation(const scan::FoundFile& found) {
  store::FileObservation seen;
  seen.path = found.path;
  seen.device = found.device;
  seen.inode = found.inode;
  seen.stamp = {static_cast<std::int64_t>(found.size), found.mtime_ns};
  seen.format = found.format;
  seen.kind = found.kind;
  if (found.sidecar)
    seen.sidecar =
        store::Sidecar{found.sidecar->path, {static_cast<std::int64_t>(found.sidecar->size), found.sidecar->mtime_ns}};
  return seen;
}

// Whether the row describes the file's current bytes. A device number may change with each mount; on the same device
// with stable inodes, another inode is another file, even with the same size and time.
bool same_content(const store::FileObservation& row, const scan::FoundFile& found, const scan::FileSystem& system) {
  return row.stamp.size == static_cast<std::int64_t>(found.size) &&
         scan::same_time(system, row.stamp.mtime_ns, found.mtime_ns) &&
         (row.inode == found.inode || row.device != found.device || !system.stable_inodes);
}

// Whether a moved file took its sidecar along.
bool same_sidecar(const std::optional<store::Sidecar>& before, const std::optional<store::Sidecar>& now) {
  return before.has_value() == now.has_value() && (!before || before->stamp == now->stamp);
}

constexpr auto kAnyTime = std::int64_t{1} << 40;  // after all that a name can state

bool gone(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

class FolderScan {
 public:
  explicit FolderScan(Run& run) : run_(run), progress_("Scan", 0, run.options.progress) {}

  Status load() {
    IE_TRY(std::vector<store::KnownFile> rows, run_.writer.known_files("/"));
    rows_ = std::move(rows);
    for (store::KnownFile& row : rows_) {
      by_path_.emplace(row.seen.path, &row);
      by_identity_.emplace(identity_of(row.seen), &row);
    }
    const std::lock_guard lock(run_.reader_mutex);
    IE_TRY(const std::vector<store::Failure> failures, run_.reader.list_failures(run_.options.paths));
    for (const store::Failure& failure : failures) {
      if (failure.key.stage == kScanStage) old_problems_.insert(failure.path);
      if (failure.key.stage == kMetadataStage && failure.key.version == metadata_key().version && !run_.options.retry)
        failed_.emplace(failure.path, failure.stamp);
    }
    return {};
  }

  Status walk() {
    scan::ScanOptions options;
    options.include = run_.options.config.scan.include;
    options.exclude = run_.options.config.scan.exclude;
    options.hidden = run_.options.config.scan.hidden;
    options.follow_symlinks = run_.options.config.scan.follow_symlinks;
    IE_TRY(const scan::Walker walker, scan::Walker::create(options));
    scan::ScanVisitor visitor;
    visitor.known = [this](const scan::FoundFile& found) -> std::optional<MediaFormat> {
      const auto row = by_path_.find(found.path);
      if (row == by_path_.end() || !same_content(row->second->seen, found, system_of(found))) return std::nullopt;
      return row->second->seen.format;
    };
    visitor.file = [this](scan::FoundFile&& found) {
      progress_.add();
      if (status_) status_ = file(found);
      return status_.has_value() && !run_.cancelled();
    };
    visitor.problem = [this](const scan::ScanProblem& found) {
      if (status_) status_ = problem(found);
    };
    run_.report.scan = walker.walk(run_.options.paths, visitor);
    IE_CHECK(status_);
    return finish(walker);
  }

  std::vector<store::KnownFile> take_headers() { return std::move(headers_); }

 private:
  Status file(const scan::FoundFile& found) {
    IE_CHECK(run_.batch.open());
    const auto known = by_path_.find(found.path);
    if (known != by_path_.end()) visited_.insert(known->second);
    if (known != by_path_.end() && found.known && observation(found).sidecar == known->second->seen.sidecar) {
      ++run_.report.unchanged;
      IE_CHECK(seen_again(*known->second, found));
      wants_headers(*known->second);
      return {};
    }
    if (known == by_path_.end()) {
      IE_TRY(const bool was_moved, moved(found));
      if (was_moved) return {};
    }
    store::FileObservation seen = observation(found);
    if (known != by_path_.end() && !found.known && seen.stamp == known->second->seen.stamp) {
      // Another file with the same name, size and time: the row must not count for it.
      store::FileObservation different = seen;
      different.stamp.mtime_ns -= 1;
      IE_TRY([[maybe_unused]] const store::KnownFile replaced, run_.writer.upsert_file(different, run_.report.run));
    }
    const store::Headers headers = has_failed(seen) ? store::Headers::kNone : store::Headers::kFollow;
    IE_TRY(const store::KnownFile row, run_.writer.upsert_file(seen, run_.report.run, headers));
    run_.count(row.id, known == by_path_.end() ? &AnalyzeReport::added : &AnalyzeReport::changed);
    wants_headers(row);
    IE_TRY([[maybe_unused]] const bool committed, run_.batch.changed());
    return {};
  }

  // After a remount, updates the row's device and inode numbers. Its stamp stays, although local times may have
  // shifted.
  Status seen_again(const store::KnownFile& row, const scan::FoundFile& found) {
    if (row.seen.device == found.device && row.seen.inode == found.inode) {
      seen_.push_back(row.id);
      return {};
    }
    if (row.seen.device != found.device) renumbered_[row.seen.device] = found.device;
    store::FileObservation seen = observation(found);
    seen.stamp = row.seen.stamp;
    IE_TRY([[maybe_unused]] const store::KnownFile kept, run_.writer.upsert_file(seen, run_.report.run));
    return {};
  }

  const scan::FileSystem& system_of(const scan::FoundFile& found) {
    const auto [system, added] = systems_.try_emplace(found.device);
    if (added) system->second = scan::file_system_at(found.path).value_or(scan::FileSystem());
    return system->second;
  }

  Result<bool> moved(const scan::FoundFile& found) {
    const auto [first, last] = by_identity_.equal_range(identity_of(observation(found)));
    for (auto it = first; it != last; ++it) {
      store::KnownFile& row = *it->second;
      if (!gone(row.seen.path)) continue;
      if (!system_of(found).stable_inodes && file_name(row.seen.path) != file_name(found.path)) continue;
      const store::FileObservation seen = observation(found);
      store::FileObservation moved = seen;
      if (!same_sidecar(row.seen.sidecar, seen.sidecar)) moved.sidecar = row.seen.sidecar;
      IE_CHECK(run_.writer.move_file(row.id, moved, run_.report.run));
      run_.count(row.id, &AnalyzeReport::moved);
      visited_.insert(&row);
      if (scan::time_in_name(file_name(row.seen.path), kAnyTime) !=
          scan::time_in_name(file_name(found.path), kAnyTime)) {
        IE_CHECK(run_.writer.forget_metadata_version(row.id));
        row.metadata_version.clear();
      }
      row.seen = seen;
      // A sidecar that was left behind, or that existed at the new path, is a change: the row then drops its metadata
      // version.
      if (moved.sidecar != seen.sidecar) {
        IE_TRY(row, run_.writer.upsert_file(seen, run_.report.run));
      }
      wants_headers(row);
      by_identity_.erase(it);
      IE_TRY([[maybe_unused]] const bool committed, run_.batch.changed());
      return true;
    }
    return false;
  }

  // Whether reading the headers of these bytes failed before, and is not to be tried again.
  [[nodiscard]] bool has_failed(const store::FileObservation& seen) const {
    const auto failed = failed_.find(seen.path);
    return failed != failed_.end() && failed->second == seen.stamp;
  }

  void wants_headers(const store::KnownFile& row) {
    if (row.metadata_version != metadata_version(run_.options.config) && !has_failed(row.seen)) headers_.push_back(row);
  }

  Status problem(const scan::ScanProblem& found) {
    using scan::ProblemKind;
    const bool root = found.kind == ProblemKind::kRoot || found.kind == ProblemKind::kRootLost;
    if (root && found.error.code == ErrorCode::kNotFound && known_below(found.path)) return {};  // finish() names them
    unread_.insert(found.path);
    old_problems_.erase(found.path);
    IE_CHECK(run_.batch.open());
    if (found.kind == ProblemKind::kFile) {
      ++run_.report.failed_files;
      ++run_.report.unreadable_files;
    }
    store::KnownFile nothing;
    nothing.seen.path = found.path;
    return run_.record_failure(nothing, scan_key(), found.error);
  }

  [[nodiscard]] bool known_below(const std::string& path) const {
    return std::any_of(rows_.begin(), rows_.end(),
                       [&](const store::KnownFile& row) { return is_at_or_below(row.seen.path, path); });
  }

  // The device of a folder, or of its nearest existing parent; each folder is examined once.
  std::uint64_t device_of(const std::string& folder) {
    if (const auto known = folder_devices_.find(folder); known != folder_devices_.end()) return known->second;
    struct stat info {};
    std::uint64_t device = 0;
    if (::stat(folder.c_str(), &info) == 0)
      device = info.st_dev;
    else if (folder != "/" && gone(folder))
      device = device_of(std::string(parent_path(folder)));
    folder_devices_.emplace(folder, device);
    return device;
  }

  // A missing file is offline if its nearest existing folder is on another file system.
  bool offline(const store::KnownFile& row) {
    const std::uint64_t device = device_of(std::string(parent_path(row.seen.path)));
    const auto renumbered = renumbered_.find(row.seen.device);
    return device != row.seen.device && (renumbered == renumbered_.end() || renumbered->second != device);
  }

  // Whether it is `path` or lies below one of `folders`.
  static bool at_or_below_any(const std::string& path, const std::unordered_set<std::string>& folders) {
    if (folders.empty()) return false;
    for (std::string_view part = path;; part = parent_path(part)) {
      if (folders.contains(std::string(part))) return true;
      if (part == "/") return false;
    }
  }

  // Found while links were followed, which they no longer are.
  [[nodiscard]] bool is_behind_link(const std::string& path) const {
    std::error_code error;
    const std::string real = std::filesystem::canonical(path, error);
    return !run_.options.config.scan.follow_symlinks && !error && real != path;
  }

  Status finish(const scan::Walker& walker) {
    IE_CHECK(run_.batch.open());
    IE_CHECK(run_.writer.touch_files(seen_, run_.report.run));
    if (run_.report.scan.stopped) return run_.batch.commit();
    std::vector<store::FileId> offline_files, excluded, missing;
    std::vector<scan::Exclusions> patterns;
    for (const std::string& root : run_.options.paths) patterns.push_back(walker.exclusions(root));
    const auto left_out = [&](const std::string& path) {
      return std::ranges::any_of(patterns, [&](scan::Exclusions& of_root) { return of_root.excluded(path); });
    };
    const std::unordered_set<std::string> roots(run_.options.paths.begin(), run_.options.paths.end());
    for (const store::KnownFile& row : rows_) {
      if (visited_.contains(&row) || row.state == store::FileState::kMissing) continue;
      if (!at_or_below_any(row.seen.path, roots) || at_or_below_any(row.seen.path, unread_)) continue;
      if (row.state == store::FileState::kExcluded && offline(row)) continue;
      if (offline(row))
        offline_files.push_back(row.id);
      else if (gone(row.seen.path) || !(left_out(row.seen.path) || is_behind_link(row.seen.path)))
        missing.push_back(row.id);
      else if (row.state != store::FileState::kExcluded)
        excluded.push_back(row.id);
    }
    IE_CHECK(run_.writer.set_file_state(offline_files, store::FileState::kOffline));
    IE_CHECK(run_.writer.set_file_state(excluded, store::FileState::kExcluded));
    IE_CHECK(run_.writer.set_file_state(missing, store::FileState::kMissing));
    run_.report.newly_excluded = excluded.size();
    run_.report.offline = offline_files.size();
    run_.report.missing = missing.size();
    if (run_.report.offline > 0)
      run_.report.notes.push_back(human_count(run_.report.offline, "file lies", "files lie") +
                                  " on a file system that is not mounted; kept as offline");
    for (const std::string& path : old_problems_) IE_CHECK(run_.writer.clear_failure(path, kScanStage));
    return run_.batch.commit();
  }

  Run& run_;
  Progress progress_;
  Status status_;
  std::vector<store::KnownFile> rows_;
  std::unordered_map<std::string, store::KnownFile*> by_path_;
  std::unordered_multimap<Identity, store::KnownFile*, IdentityHash> by_identity_;
  std::unordered_map<std::string, store::FileStamp> failed_;
  std::unordered_set<std::string> old_problems_;  // in the ledger, not found again so far
  std::vector<store::FileId> seen_;               // unchanged
  std::vector<store::KnownFile> headers_;
  std::unordered_set<std::string> unread_;
  std::unordered_set<const store::KnownFile*> visited_;
  std::unordered_map<std::string, std::uint64_t> folder_devices_;
  std::unordered_map<std::uint64_t, std::uint64_t> renumbered_;  // devices whose number has changed
  std::unordered_map<std::uint64_t, scan::FileSystem> systems_;  // by device
};

}  // namespace

Result<std::vector<store::KnownFile>> scan_folders(Run& run) {
  FolderScan scan(run);
  IE_CHECK(scan.load());
  IE_CHECK(scan.walk());
  return scan.take_headers();
}

}  // namespace image_engine::pipeline
