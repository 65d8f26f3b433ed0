// The failure ledger.
#include "core/text.h"
#include "store/rows.h"
#include "store/writer_state.h"

namespace image_engine::store {

Result<std::int64_t> FailureWriter::put_failure(const Failure& failure) {
  return state_->change([&] {
    const StageKey& key = failure.key;
    std::optional<FileId> file;
    if (auto known = state_->connection.query("SELECT id, asset_id FROM files WHERE path = ?", Blob{failure.path});
        known.next()) {
      file = known.integer(0);
      const AssetId asset = known.integer(1);
      // A file of a run that was killed before its headers waits in no writer's memory.
      if (state_->waiting.erase(asset) > 0 || key.stage == "metadata") state_->dirty.insert(asset);
    }
    const std::string now = utc_now();
    // The tries of another content or another version of the stage do not count.
    auto row = state_->connection.query(
        "INSERT INTO failures(path, file_id, stage, model, version, params, code, message, size, mtime_ns, tries, "
        "first_at, last_at) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?) "
        "ON CONFLICT(path, stage) DO UPDATE SET file_id = excluded.file_id, model = excluded.model, "
        "version = excluded.version, params = excluded.params, code = excluded.code, message = excluded.message, "
        "size = excluded.size, mtime_ns = excluded.mtime_ns, last_at = excluded.last_at, "
        "tries = iif(size = excluded.size AND mtime_ns = excluded.mtime_ns AND version = excluded.version "
        "AND model = excluded.model AND params = excluded.params, tries + 1, 1) RETURNING tries",
        Blob{failure.path}, file, key.stage, key.model, key.version, key.params, error_name(failure.error.code),
        to_utf8(failure.error.message), failure.stamp.size, failure.stamp.mtime_ns, now, now);
    row.next();
    return row.integer(0);
  });
}

Status FailureWriter::clear_failure(const std::string& path, const std::string& stage) {
  return state_->change(
      [&] { state_->connection.run("DELETE FROM failures WHERE path = ? AND stage = ?", Blob{path}, stage); });
}

Result<std::vector<Failure>> FailureReader::list_failures(std::span<const std::string> roots) const {
  return guarded([&] {
    std::vector<PathRange> ranges;
    for (const std::string& root : roots) ranges.push_back(below(root));
    std::vector<Failure> failures;
    auto row = connection_->query("SELECT " IE_FAILURE_COLUMNS IE_FAILURES "ORDER BY x.path, x.stage");
    while (row.next()) {
      Failure failure = read_failure_row(row);
      bool wanted = ranges.empty();
      for (const PathRange& range : ranges) wanted = wanted || is_at_or_below(failure.path, range);
      if (wanted) failures.push_back(std::move(failure));
    }
    return failures;
  });
}

}  // namespace image_engine::store
