// The remaining work of pass 2.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "store/rows.h"
#include "store/writer_state.h"

namespace image_engine::store {
namespace {

using StampOfFile = std::unordered_map<FileId, FileStamp>;

// Failures with exactly this key and an unchanged file, for a reason that is not forgiven.
StampOfFile failed_files(Connection& connection, const StageKey& key, const std::vector<ErrorCode>& forgiven = {}) {
  StampOfFile failed;
  auto row = connection.query(
      "SELECT file_id, size, mtime_ns, code FROM failures "
      "WHERE stage = ? AND model = ? AND version = ? AND params = ? AND file_id IS NOT NULL",
      key.stage, key.model, key.version, key.params);
  while (row.next())
    if (std::ranges::find(forgiven, error_code_from_name(row.bytes(3))) == forgiven.end())
      failed[row.integer(0)] = {row.integer(1), row.integer(2)};
  return failed;
}

bool failed_as_it_is(const StampOfFile& failed, const KnownFile& file) {
  const auto found = failed.find(file.id);
  return found != failed.end() && found->second == file.seen.stamp;
}

struct StageWork {
  const WantedStage* wanted;
  std::unordered_set<AssetId> done;
  StampOfFile failed;
};

class PendingScan {
 public:
  PendingScan(Connection& connection, const PendingQuery& query) {
    for (const std::string& root : query.roots) ranges_.push_back(below(root));
    for (const WantedStage& wanted : query.stages) {
      StageWork& work = stages_.emplace_back();
      work.wanted = &wanted;
      if (std::ranges::find(query.redo, wanted.key.stage) != query.redo.end()) continue;
      auto row = connection.query(
          "SELECT asset_id FROM records WHERE stage = ? AND model = ? AND version = ? AND params = ? "
          "AND asset_id IS NOT NULL",
          wanted.key.stage, wanted.key.model, wanted.key.version, wanted.key.params);
      while (row.next()) work.done.insert(row.integer(0));
      if (!query.retry) work.failed = failed_files(connection, wanted.key, wanted.forgiven);
    }
    if (!query.retry)
      for (const StageKey& gate : query.gates) gates_.push_back(failed_files(connection, gate));
  }

  // Adds the file's due stages, unless another file of its asset has them.
  void offer(const KnownFile& file, std::vector<PendingFile>& pending) {
    if ((offered_.contains(file.asset) && !file.carried) || !is_wanted_path(file.seen.path)) return;
    if (std::ranges::any_of(gates_, [&](const auto& gate) { return failed_as_it_is(gate, file); })) return;
    PendingFile item{file.id, file.asset, file.seen, file.hashed, file.carried, false, {}};
    for (const StageWork& work : stages_) {
      const MediaKind kind = work.wanted->kind;
      if (kind != MediaKind::kNone && kind != file.seen.kind) continue;
      const bool is_renewed = work.wanted->renewed.contains(file.asset);
      if (!is_renewed && failed_as_it_is(work.failed, file)) continue;
      if ((!file.hashed && !file.carried) || is_renewed || !work.done.contains(file.asset))
        item.stages.push_back(work.wanted->key.stage);
    }
    if (file.hashed && item.stages.empty()) return;
    offered_.insert(file.asset);
    pending.push_back(std::move(item));
  }

 private:
  [[nodiscard]] bool is_wanted_path(const std::string& path) const {
    return ranges_.empty() ||
           std::ranges::any_of(ranges_, [&](const PathRange& range) { return is_at_or_below(path, range); });
  }

  std::vector<PathRange> ranges_;
  std::vector<StageWork> stages_;
  std::vector<StampOfFile> gates_;
  std::unordered_set<AssetId> offered_;
};

// Sets is_new.
void mark_new(Connection& connection, std::vector<PendingFile>& pending) {
  if (std::ranges::all_of(pending, &PendingFile::hashed)) return;
  std::unordered_set<AssetId> alone;
  auto row = connection.query(
      "SELECT id FROM assets a WHERE hash IS NULL AND taken_seconds IS NOT NULL "
      "AND NOT EXISTS (SELECT 1 FROM assets b WHERE b.taken_seconds = a.taken_seconds AND b.id <> a.id)");
  while (row.next()) alone.insert(row.integer(0));
  for (PendingFile& file : pending) file.is_new = alone.contains(file.asset);
}

}  // namespace

std::vector<PendingFile> read_pending(Connection& connection, const PendingQuery& query) {
  PendingScan scan(connection, query);
  std::vector<PendingFile> pending;
  auto row = connection.query("SELECT " IE_FILE_COLUMNS IE_FILES "WHERE f.state = 'present' ORDER BY f.id");
  while (row.next()) scan.offer(read_file_row(row), pending);
  mark_new(connection, pending);
  return pending;
}

Result<std::vector<PendingFile>> FileWriter::pending(const PendingQuery& query) {
  return guarded([&] { return read_pending(state_->connection, query); });
}

}  // namespace image_engine::store
