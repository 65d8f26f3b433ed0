#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/text.h"
#include "store/rows.h"
#include "store/schema.h"
#include "store/speech_index.h"
#include "store/writer_state.h"

namespace image_engine::store {

void WriterState::flush() {
  for (const AssetId asset : dirty) index.refresh(asset);
  for (const AssetId asset : changed_speech) refresh_speech(connection, asset);
  forget_changes();
}

void WriterState::forget_changes() {
  dirty.clear();
  changed_speech.clear();
  index.forget_facts();
}

void WriterState::rollback() {
  in_batch = false;
  forget_changes();
  if (connection.in_transaction()) connection.execute("ROLLBACK");
}

AssetId WriterState::asset_of(FileId file) {
  auto row = connection.query("SELECT asset_id FROM files WHERE id = ?", file);
  if (!row.next()) raise(ErrorCode::kNotFound, "file " + std::to_string(file) + " is not in the catalogue");
  return row.integer(0);
}

AssetId WriterState::add_provisional(std::string_view kind, std::string_view format) {
  connection.run("INSERT INTO assets(kind, format) VALUES(?, ?)", kind, format);
  return connection.last_id();
}

CatalogueWriter::CatalogueWriter(std::unique_ptr<WriterState> state)
    : FileWriter(*state),
      RecordWriter(*state),
      VectorWriter(*state),
      LabelWriter(*state),
      FailureWriter(*state),
      state_(std::move(state)) {}
CatalogueWriter::CatalogueWriter(CatalogueWriter&&) noexcept = default;
CatalogueWriter& CatalogueWriter::operator=(CatalogueWriter&&) noexcept = default;

CatalogueWriter::~CatalogueWriter() {
  if (!state_ || !state_->in_batch) return;
  // If rolling back fails now, SQLite does it when the catalogue is next opened.
  (void)guarded([&] { state_->rollback(); });
}

Result<CatalogueWriter> CatalogueWriter::open(const std::string& path, WriterLock lock) {
  return guarded([&] {
    // State reads the roots, so the tables come first.
    {
      Connection connection(path, Access::kCreate);
      migrate(connection, migrations());
    }
    return CatalogueWriter(std::make_unique<WriterState>(path, std::move(lock)));
  });
}

Status CatalogueWriter::begin() {
  return guarded([&] {
    if (state_->in_batch) raise(ErrorCode::kInternal, "catalogue: a batch is open already");
    state_->connection.execute("BEGIN IMMEDIATE");
    state_->forget_changes();
    state_->in_batch = true;
  });
}

Status CatalogueWriter::commit() {
  return guarded([&] {
    if (!state_->in_batch) raise(ErrorCode::kInternal, "catalogue: there is no batch to commit");
    try {
      state_->flush();
      state_->connection.execute("COMMIT");
      state_->in_batch = false;
    } catch (...) {
      state_->rollback();
      throw;
    }
  });
}

Result<RunId> CatalogueWriter::start_run(const std::string& command) {
  return state_->change([&]() -> RunId {
    state_->connection.run("INSERT INTO runs(command, started) VALUES(?, ?)", to_utf8(command), utc_now());
    return state_->connection.last_id();
  });
}

Status CatalogueWriter::finish_run(RunId run, const Counts& counts, int exit_code) {
  return state_->change([&] {
    state_->connection.run("UPDATE runs SET finished = ?, counts = ?, exit_code = ? WHERE id = ?", utc_now(),
                           json_text(nlohmann::json(counts)), exit_code, run);
  });
}

Status FileWriter::add_root(const std::string& path, std::uint64_t device) {
  return state_->change([&] {
    Connection& c = state_->connection;
    const PathRange range = below(path);
    if (state_->index.is_outermost(path))
      for (auto row = c.query("SELECT DISTINCT asset_id FROM files WHERE path >= ? AND path < ?", Blob{range.from},
                              Blob{range.to});
           row.next();)
        state_->dirty.insert(row.integer(0));
    c.run(
        "INSERT INTO roots(path, device, added) VALUES(?, ?, ?) ON CONFLICT(path) DO UPDATE SET device = "
        "excluded.device",
        Blob{path}, device, utc_now());
    state_->index.load_roots();
  });
}

Result<std::vector<KnownFile>> FileWriter::known_files(const std::string& root) {
  return guarded([&] { return files_below(state_->connection, root); });
}

Result<std::vector<KnownFile>> FileWriter::files_of(AssetId asset) {
  return guarded([&] {
    std::vector<KnownFile> files;
    auto row = state_->connection.query("SELECT " IE_FILE_COLUMNS IE_FILES "WHERE f.asset_id = ? ORDER BY f.id", asset);
    while (row.next()) files.push_back(read_file_row(row));
    return files;
  });
}

namespace {

std::optional<KnownFile> find_file(Connection& connection, const std::string& path) {
  auto row = connection.query("SELECT " IE_FILE_COLUMNS IE_FILES "WHERE f.path = ?", Blob{path});
  return row.next() ? std::optional(read_file_row(row)) : std::nullopt;
}

FileId insert_file(Connection& connection, const FileObservation& seen, AssetId asset, RunId run) {
  connection.run(
      "INSERT INTO files(path, device, inode, size, mtime_ns, format, kind, state, asset_id, first_run, last_run) "
      "VALUES(?, ?, ?, ?, ?, ?, ?, 'present', ?, ?, ?)",
      Blob{seen.path}, seen.device, seen.inode, seen.stamp.size, seen.stamp.mtime_ns, format_name(seen.format),
      kind_name(seen.kind), asset, run, run);
  return connection.last_id();
}

// Writes everything that a scan observes, except the path and the content's stamp.
void update_seen(Connection& connection, FileId file, const FileObservation& seen, RunId run) {
  std::optional<Blob> sidecar;
  std::optional<std::int64_t> size, mtime;
  if (seen.sidecar) {
    sidecar = Blob{seen.sidecar->path};
    size = seen.sidecar->stamp.size;
    mtime = seen.sidecar->stamp.mtime_ns;
  }
  connection.run(
      "UPDATE files SET device = ?, inode = ?, sidecar_path = ?, sidecar_size = ?, sidecar_mtime_ns = ?, "
      "state = 'present', last_run = ? WHERE id = ?",
      seen.device, seen.inode, sidecar, size, mtime, run, file);
}

bool is_other_content(const KnownFile& known, const FileObservation& seen) {
  const bool newly_recognised = known.seen.format == MediaFormat::kNone && seen.format != MediaFormat::kNone;
  return known.seen.stamp != seen.stamp || newly_recognised;
}

}  // namespace

Result<KnownFile> FileWriter::upsert_file(const FileObservation& seen, RunId run, Headers headers) {
  return state_->change([&] {
    WriterState& s = *state_;
    auto known = find_file(s.connection, seen.path);
    if (!known) {
      KnownFile added{0, s.add_provisional(kind_name(seen.kind), format_name(seen.format)), seen, {}, false, {}};
      added.id = insert_file(s.connection, seen, added.asset, run);
      if (seen.sidecar) update_seen(s.connection, added.id, seen, run);
      s.index_with(headers, added.asset);
      return added;
    }
    if (known->state != FileState::kPresent) s.dirty.insert(known->asset);
    update_seen(s.connection, known->id, seen, run);
    if (is_other_content(*known, seen)) {
      s.dirty.insert(known->asset);
      known->asset = s.add_provisional(kind_name(seen.kind), format_name(seen.format));
      s.index_with(headers, known->asset);
      s.connection.run(
          "UPDATE files SET size = ?, mtime_ns = ?, format = ?, kind = ?, file_hash = NULL, metadata_version = '', "
          "orientation = 0, "
          "asset_id = ? WHERE id = ?",
          seen.stamp.size, seen.stamp.mtime_ns, format_name(seen.format), kind_name(seen.kind), known->asset,
          known->id);
      s.connection.run("DELETE FROM records WHERE file_id = ?", known->id);
      return KnownFile{known->id, known->asset, seen, FileState::kPresent, false, {}};
    }
    if (known->seen.sidecar != seen.sidecar) {
      s.connection.run("UPDATE files SET metadata_version = '' WHERE id = ?", known->id);
      known->metadata_version.clear();
    }
    const MediaFormat format = known->seen.format;
    const MediaKind kind = known->seen.kind;
    const std::uint32_t orientation = known->seen.orientation;
    known->seen = seen;
    known->seen.orientation = orientation;
    known->seen.format = format;
    known->seen.kind = kind;
    known->state = FileState::kPresent;
    return *known;
  });
}

Status FileWriter::index_waiting() {
  return state_->change([&] {
    WriterState& s = *state_;
    s.dirty.merge(s.waiting);
    s.waiting.clear();
    for (auto row = s.connection.query("SELECT asset_id FROM files WHERE metadata_version = '' "
                                       "AND NOT EXISTS(SELECT 1 FROM asset_text WHERE rowid = files.asset_id)");
         row.next();)
      s.dirty.insert(row.integer(0));
  });
}

Status FileWriter::touch_files(std::span<const FileId> files, RunId run) {
  return state_->change([&] {
    Connection& c = state_->connection;
    for (const FileId file : files) {
      c.run("UPDATE files SET last_run = ? WHERE id = ? AND state = 'present'", run, file);
      if (c.changes() > 0) continue;
      state_->dirty.insert(state_->asset_of(file));
      c.run("UPDATE files SET last_run = ?, state = 'present' WHERE id = ?", run, file);
    }
  });
}

Status FileWriter::move_file(FileId file, const FileObservation& seen, RunId run) {
  return state_->change([&] {
    WriterState& s = *state_;
    s.dirty.insert(s.asset_of(file));
    const auto other = find_file(s.connection, seen.path);
    if (other && other->id != file) {
      s.dirty.insert(other->asset);
      s.connection.run("DELETE FROM files WHERE id = ?", other->id);
    }
    s.connection.run("UPDATE files SET path = ? WHERE id = ?", Blob{seen.path}, file);
    update_seen(s.connection, file, seen, run);
    s.connection.run("DELETE FROM failures WHERE path = ? AND file_id IS NOT ?", Blob{seen.path}, file);
    s.connection.run("UPDATE failures SET path = ? WHERE file_id = ?", Blob{seen.path}, file);
  });
}

Status FileWriter::forget_metadata_version(FileId file) {
  return state_->change([&] { state_->connection.run("UPDATE files SET metadata_version = '' WHERE id = ?", file); });
}

Status FileWriter::set_file_state(std::span<const FileId> files, FileState state) {
  return state_->change([&] {
    for (const FileId file : files) {
      state_->dirty.insert(state_->asset_of(file));
      state_->connection.run("UPDATE files SET state = ? WHERE id = ?", state_name(state), file);
      if (is_away(state)) state_->connection.run("DELETE FROM failures WHERE file_id = ?", file);
    }
  });
}

}  // namespace image_engine::store
