#include "store/maintenance.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>

#include "core/file.h"
#include "store/asset_index.h"
#include "store/rows.h"
#include "store/schema.h"

namespace image_engine::store {
namespace {

void require_current(Connection& connection) {
  if (schema_version(connection, migrations()) != migrations().back().version)
    raise(ErrorCode::kUnsupported, "the catalogue " + to_utf8(connection.path()) +
                                       " is empty or from an older image-engine: run analyze once first");
}

struct OrphanCheck {
  std::string_view sql;  // counts
  std::string_view problem;
};
constexpr OrphanCheck kOrphanChecks[] = {
    {"SELECT count(*) FROM assets WHERE hash IS NULL AND NOT EXISTS(SELECT 1 FROM files WHERE asset_id = assets.id)",
     "provisional assets without a file"},
    {"SELECT count(*) FROM assets WHERE shown = 1 AND "
     "NOT EXISTS(SELECT 1 FROM files WHERE asset_id = assets.id AND state NOT IN ('missing', 'excluded'))",
     "assets are shown although they have no file"},
    {"SELECT count(*) FROM assets WHERE shown = 0 AND "
     "EXISTS(SELECT 1 FROM files WHERE asset_id = assets.id AND state NOT IN ('missing', 'excluded')) AND NOT "
     "EXISTS(SELECT 1 FROM records WHERE asset_id = assets.id AND stage = 'live_photo' AND model = 'clip')",
     "assets are hidden although they have a file"},
    {"SELECT count(*) FROM assets WHERE EXISTS(SELECT 1 FROM files WHERE asset_id = assets.id) AND "
     "id NOT IN (SELECT rowid FROM asset_text) AND NOT "  // those of a run that was killed wait for their headers
     "EXISTS(SELECT 1 FROM files f WHERE f.asset_id = assets.id AND f.metadata_version = '' AND NOT "
     "EXISTS(SELECT 1 FROM failures x WHERE x.file_id = f.id AND x.stage = 'metadata'))",
     "assets cannot be found by text"},
    {"SELECT count(*) FROM asset_text WHERE rowid NOT IN (SELECT id FROM assets)", "texts belong to no asset"},
    {"SELECT count(*) FROM asset_trigram WHERE rowid NOT IN (SELECT id FROM assets)",
     "texts in the trigram index belong to no asset"},
    {"SELECT count(*) FROM asset_speech WHERE rowid NOT IN (SELECT id FROM assets)",
     "texts of speech belong to no asset"},
    {"SELECT count(*) FROM asset_speech_trigram WHERE rowid NOT IN (SELECT id FROM assets)",
     "texts of speech in the trigram index belong to no asset"},
    {"SELECT count(*) FROM files f JOIN assets a ON a.id = f.asset_id WHERE f.file_hash IS NOT NULL AND a.hash IS NULL",
     "files were read although their asset has no hash"},
    {"SELECT count(*) FROM embeddings e JOIN spaces s ON s.id = e.space_id WHERE length(e.vector) <> 2 * s.dimensions",
     "vectors are not of their space's length"},
    {"SELECT count(*) FROM moment_embeddings e JOIN spaces s ON s.id = e.space_id "
     "WHERE length(e.vector) <> 2 * s.dimensions",
     "vectors of moments are not of their space's length"},
    {"SELECT count(*) FROM embeddings e WHERE NOT EXISTS(SELECT 1 FROM embedding_changes c "
     "WHERE c.space_id = e.space_id AND c.vector_id = e.asset_id)",
     "vectors have no generation"},
    {"SELECT count(*) FROM moment_embeddings e WHERE NOT EXISTS(SELECT 1 FROM embedding_changes c "
     "WHERE c.space_id = e.space_id AND c.vector_id = e.asset_id + (e.moment << 27))",
     "vectors of moments have no generation"},
    {"SELECT count(*) FROM moment_embeddings e WHERE NOT EXISTS(SELECT 1 FROM moments m "
     "WHERE m.asset_id = e.asset_id AND m.moment = e.moment)",
     "vectors belong to no moment"},
};

void check_pages(Connection& connection, std::vector<std::string>& problems) {
  for (auto row = connection.query("PRAGMA integrity_check(20)"); row.next();)
    if (const std::string line = row.bytes(0); line != "ok") problems.push_back("pages: " + line);
  for (auto row = connection.query("PRAGMA foreign_key_check"); row.next();)
    problems.push_back("table " + row.bytes(0) + ": row " + std::to_string(row.integer(1)) + " refers to a row of " +
                       row.bytes(2) + " that is missing");
}

// SQLite creates files beside a catalogue that is opened for writing.
bool may_write_beside(const std::string& path) {
  return ::access(path.c_str(), W_OK) == 0 && ::access(std::string(parent_path(path)).c_str(), W_OK) == 0;
}

// FTS5's own check is an INSERT, so it needs a writable connection; it changes nothing. On a read-only medium, or while
// another process writes, only pages and orphans can be checked.
void check_text_index(const std::string& path, std::vector<std::string>& problems) {
  if (!may_write_beside(path)) return;
  for (const std::string_view table : {"asset_text", "asset_trigram", "asset_speech", "asset_speech_trigram"}) {
    const auto sound = guarded([&] {
      Connection connection(path, Access::kWrite);
      const std::string name(table);
      connection.execute("INSERT INTO " + name + "(" + name + ", rank) VALUES('integrity-check', 1)");
    });
    if (sound) continue;
    const ErrorCode code = sound.error().code;
    if (code == ErrorCode::kCorrupt) problems.push_back("text index " + std::string(table) + " is damaged");
    if (code != ErrorCode::kCorrupt && code != ErrorCode::kPermission && code != ErrorCode::kBusy)
      problems.push_back("text index " + std::string(table) + ": " + sound.error().message);
  }
}

}  // namespace

Result<CheckReport> check(const std::string& catalogue_path) {
  return guarded([&] {
    CheckReport report;
    {
      Connection connection(catalogue_path, Access::kRead);
      require_current(connection);
      const auto read = guarded([&] {
        check_pages(connection, report.problems);
        for (const OrphanCheck& orphans : kOrphanChecks)
          if (const auto count = connection.integer(orphans.sql); count > 0)
            report.problems.push_back(std::to_string(count) + " " + std::string(orphans.problem));
        report.assets = connection.integer("SELECT count(*) FROM assets");
        report.files = connection.integer("SELECT count(*) FROM files");
        report.records = connection.integer("SELECT count(*) FROM records");
      });
      if (!read) report.problems.push_back(read.error().message);
    }
    check_text_index(catalogue_path, report.problems);
    return report;
  });
}

Status backup(const std::string& catalogue_path, const std::string& target, bool overwrite) {
  return guarded([&] {
    struct stat there {};
    if (::lstat(target.c_str(), &there) == 0) {
      if (!overwrite) raise(ErrorCode::kInvalidArgument, to_utf8(target) + " exists: name another file, or force it");
      struct stat source {};
      if (::stat(catalogue_path.c_str(), &source) == 0 && ::stat(target.c_str(), &there) == 0 &&
          source.st_dev == there.st_dev && source.st_ino == there.st_ino)
        raise(ErrorCode::kInvalidArgument, "the backup cannot be the catalogue itself");
    }
    Connection connection(catalogue_path, Access::kRead);
    require_current(connection);
    copy_catalogue(connection, target);
  });
}

namespace {

struct MovedPath {
  std::int64_t id;
  std::string from, to;
};

std::vector<MovedPath> paths_to_move(Connection& connection, std::string_view sql, const PathRange& range,
                                     std::string_view target) {
  std::vector<MovedPath> moved;
  for (auto row = connection.query(sql, Blob{range.self}, Blob{range.from}, Blob{range.to}); row.next();) {
    const std::string from = row.bytes(1);
    moved.push_back({row.integer(0), from, std::string(target) + from.substr(range.from.size() - 1)});
  }
  return moved;
}

void move_paths(Connection& connection, std::string_view sql, const std::vector<MovedPath>& moved) {
  for (const MovedPath& path : moved) connection.run(sql, Blob{path.to}, path.id);
}

}  // namespace

Result<RelocateReport> relocate(const std::string& catalogue_path, const WriterLock&, const std::string& old_prefix,
                                const std::string& new_prefix, bool dry_run) {
  if (!old_prefix.starts_with('/') || !new_prefix.starts_with('/'))
    return fail(ErrorCode::kInvalidArgument, "relocate needs two absolute paths");
  return guarded([&] {
    Connection c(catalogue_path, Access::kWrite);
    require_current(c);
    const PathRange range = below(old_prefix);
    std::string target = below(new_prefix).from;
    target.pop_back();  // "/new/" to "/new"; "/" to ""
    const auto moved =
        paths_to_move(c, "SELECT id, path FROM files WHERE path = ? OR (path >= ? AND path < ?)", range, target);
    const auto sidecars = paths_to_move(
        c, "SELECT id, sidecar_path FROM files WHERE sidecar_path = ? OR (sidecar_path >= ? AND sidecar_path < ?)",
        range, target);
    const auto failures =
        paths_to_move(c, "SELECT id, path FROM failures WHERE path = ? OR (path >= ? AND path < ?)", range, target);
    for (const MovedPath& path : moved)
      if (c.integer("SELECT EXISTS(SELECT 1 FROM files WHERE path = ?)", Blob{path.to}) != 0)
        raise(ErrorCode::kInvalidArgument, to_utf8(path.to) + " is in the catalogue already: nothing was changed");
    const RelocateReport report{static_cast<std::int64_t>(moved.size()), static_cast<std::int64_t>(failures.size())};
    if (dry_run) return report;
    Transaction transaction(c);
    move_paths(c, "UPDATE files SET path = ? WHERE id = ?", moved);
    move_paths(c, "UPDATE files SET sidecar_path = ? WHERE id = ?", sidecars);
    // A failure recorded meanwhile at the new path is the newer one.
    move_paths(c, "UPDATE OR IGNORE failures SET path = ? WHERE id = ?", failures);
    std::vector<std::string> roots;
    for (auto row = c.query("SELECT path FROM roots WHERE path = ? OR (path >= ? AND path < ?)", Blob{range.self},
                            Blob{range.from}, Blob{range.to});
         row.next();)
      roots.push_back(row.bytes(0));
    for (const std::string& root : roots)
      c.run("UPDATE OR REPLACE roots SET path = ? WHERE path = ?", Blob{target + root.substr(range.from.size() - 1)},
            Blob{root});
    AssetIndex index(c);
    std::unordered_set<AssetId> assets;
    for (const MovedPath& path : moved) assets.insert(c.integer("SELECT asset_id FROM files WHERE id = ?", path.id));
    for (const AssetId asset : assets) index.refresh(asset);
    transaction.commit();
    return report;
  });
}

namespace {

std::vector<std::int64_t> ids(Query row) {
  std::vector<std::int64_t> found;
  while (row.next()) found.push_back(row.integer(0));
  return found;
}

void prune_files(Connection& c, const std::string& root, PruneReport& report, std::unordered_set<AssetId>& touched) {
  const PathRange range = below(root);
  std::vector<FileId> gone;
  for (auto row = c.query("SELECT id, asset_id, path FROM files WHERE state IN ('missing', 'excluded')"); row.next();) {
    if (!root.empty() && !is_at_or_below(row.bytes(2), range)) continue;
    gone.push_back(row.integer(0));
    touched.insert(row.integer(1));
  }
  for (const FileId file : gone) {
    report.failures += c.integer("SELECT count(*) FROM failures WHERE file_id = ?", file);
    report.records += c.integer("SELECT count(*) FROM records WHERE file_id = ?", file);
    c.run("DELETE FROM files WHERE id = ?", file);
  }
  report.files = static_cast<std::int64_t>(gone.size());
}

void prune_failures(Connection& c, const std::string& root, PruneReport& report) {
  const PathRange range = below(root);
  std::vector<std::int64_t> gone;
  for (auto row = c.query("SELECT id, path FROM failures WHERE file_id IS NULL"); row.next();) {
    const std::string path = row.bytes(1);
    if (!root.empty() && !is_at_or_below(path, range)) continue;
    struct stat file {};
    if (::lstat(path.c_str(), &file) != 0 && (errno == ENOENT || errno == ENOTDIR)) gone.push_back(row.integer(0));
  }
  for (const auto id : gone) c.run("DELETE FROM failures WHERE id = ?", id);
  report.failures += static_cast<std::int64_t>(gone.size());
}

void prune_assets(Connection& c, AssetIndex& index, bool user_data, PruneReport& report) {
  std::vector<std::pair<AssetId, std::string>> gone;
  for (auto row =
           c.query("SELECT id, hash FROM assets WHERE NOT EXISTS(SELECT 1 FROM files WHERE asset_id = assets.id) "
                   "AND (? OR hash IS NULL OR hash NOT IN (SELECT asset_hash FROM label_examples))",
                   user_data);
       row.next();)
    gone.emplace_back(row.integer(0), row.bytes(1));
  for (const auto& [asset, hash] : gone) {
    report.records += c.integer("SELECT count(*) FROM records WHERE asset_id = ?", asset);
    index.erase(asset);
    ++report.assets;
    if (!hash.empty()) report.pictures.push_back(hash_from_bytes(hash));
  }
}

// Keeps the newest record of each asset, stage and model; all records of objects' vectors, one for each class of
// objects, and of vectors that a label was trained on.
void prune_replaced_records(Connection& c, PruneReport& report) {
  c.run(
      "DELETE FROM records WHERE asset_id IS NOT NULL AND stage <> 'object_vectors' "
      "AND EXISTS(SELECT 1 FROM records newer "
      "WHERE newer.asset_id = records.asset_id AND newer.stage = records.stage AND newer.model = records.model "
      "AND newer.id > records.id) "
      "AND NOT EXISTS(SELECT 1 FROM label_heads h JOIN spaces s ON s.id = h.space_id WHERE s.stage = records.stage "
      "AND s.model = records.model AND s.version = records.version AND s.params = records.params)");
  report.records += c.changes();
}

// Vectors of a replaced model are deleted with its last record.
void prune_replaced_spaces(Connection& c, bool dry_run) {
  if (dry_run) return;
  for (const SpaceId space :
       ids(c.query("SELECT id FROM spaces WHERE active = 0 "
                   "AND id NOT IN (SELECT space_id FROM label_heads WHERE space_id IS NOT NULL) "
                   "AND NOT EXISTS(SELECT 1 FROM records r "
                   "WHERE r.stage = spaces.stage AND r.model = spaces.model AND r.version = spaces.version "
                   "AND r.params = spaces.params)")))
    forget_space(c, space);
}

void prune_user_data(Connection& c, PruneReport& report) {
  for (const std::string_view sql :
       {"DELETE FROM user_ratings WHERE asset_hash NOT IN (SELECT hash FROM assets WHERE hash IS NOT NULL)",
        "DELETE FROM user_titles WHERE asset_hash NOT IN (SELECT hash FROM assets WHERE hash IS NOT NULL)",
        "DELETE FROM labels WHERE asset_hash NOT IN (SELECT hash FROM assets WHERE hash IS NOT NULL)",
        "DELETE FROM label_examples WHERE asset_hash NOT IN (SELECT hash FROM assets WHERE hash IS NOT NULL)"}) {
    c.run(sql);
    report.user_data += c.changes();
  }
}

// Returns the bytes by which the file shrank. Space that cannot be freed is reused by later runs.
std::int64_t compact(Connection& c) {
  const auto size = [&] { return c.integer("PRAGMA page_count") * c.integer("PRAGMA page_size"); };
  const std::int64_t before = size();
  const auto done = guarded([&] {
    c.execute("VACUUM");
    c.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  });
  return done ? std::max<std::int64_t>(0, before - size()) : 0;
}

}  // namespace

Result<PruneReport> prune(const std::string& catalogue_path, const WriterLock&, const PruneOptions& options) {
  return guarded([&] {
    Connection c(catalogue_path, Access::kWrite);
    require_current(c);
    PruneReport report;
    // A dry run does the same and rolls back the transaction.
    Transaction transaction(c);
    AssetIndex index(c);
    std::unordered_set<AssetId> touched;
    prune_files(c, options.root, report, touched);
    prune_failures(c, options.root, report);
    prune_assets(c, index, options.user_data, report);
    for (const AssetId asset : touched) index.refresh(asset);
    prune_replaced_records(c, report);
    prune_replaced_spaces(c, options.dry_run);
    if (options.user_data) prune_user_data(c, report);
    if (options.dry_run) return report;
    transaction.commit();
    report.freed_bytes = compact(c);
    return report;
  });
}

}  // namespace image_engine::store
