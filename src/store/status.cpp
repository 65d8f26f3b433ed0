// The data of `image-engine status`.
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/json.h"
#include "store/catalogue.h"
#include "store/rows.h"
#include "store/schema.h"

namespace image_engine::store {
namespace {

std::map<std::string, std::int64_t> count_by(Connection& connection, std::string_view sql) {
  std::map<std::string, std::int64_t> counts;
  for (auto row = connection.query(sql); row.next();) counts[row.bytes(0)] = row.integer(1);
  return counts;
}

std::int64_t bytes_on_disk(const std::string& path) {
  struct stat file {};
  return ::stat(path.c_str(), &file) == 0 ? file.st_size : 0;
}

using StageCount = CatalogueStatus::StageCount;

StageKey key_of(const Query& row) { return {row.bytes(0), row.bytes(1), row.bytes(2), row.bytes(3)}; }

std::vector<StageCount> stage_counts(Connection& connection) {
  std::vector<StageCount> stages;
  auto row = connection.query(
      "SELECT stage, model, version, params, count(*) FROM records GROUP BY stage, model, version, params");
  while (row.next()) stages.push_back({key_of(row), row.integer(4), 0});
  return stages;
}

// Records of another key than the current one, of assets for which the pass makes that stage anew.
void count_stale(Connection& connection, const PendingQuery& pass, std::vector<StageCount>& stages) {
  std::map<std::string, std::unordered_set<AssetId>> due;  // by stage
  for (const PendingFile& file : read_pending(connection, pass))
    for (const std::string& stage : file.stages) due[stage].insert(file.asset);
  for (StageCount& count : stages) {
    const auto assets = due.find(count.key.stage);
    if (assets == due.end() || std::ranges::find(pass.stages, count.key, &WantedStage::key) != pass.stages.end())
      continue;
    auto row = connection.query(
        "SELECT asset_id FROM records WHERE stage = ? AND model = ? AND version = ? AND params = ? "
        "AND asset_id IS NOT NULL",
        count.key.stage, count.key.model, count.key.version, count.key.params);
    while (row.next()) count.stale += assets->second.contains(row.integer(0)) ? 1 : 0;
  }
}

// Headers that could not be read are not read again before the file changes.
void count_stale_metadata(Connection& connection, const std::string& version, std::vector<StageCount>& stages) {
  std::map<std::string, std::int64_t> stale = count_by(
      connection,
      "SELECT r.version, count(*) FROM records r JOIN files f ON f.id = r.file_id WHERE r.stage = 'metadata' "
      "AND f.state = 'present' AND NOT EXISTS(SELECT 1 FROM failures x WHERE x.file_id = f.id AND x.stage = r.stage "
      "AND x.size = f.size AND x.mtime_ns = f.mtime_ns) GROUP BY r.version");
  for (StageCount& count : stages)
    if (count.key.stage == "metadata" && count.key.version != version) count.stale = stale[count.key.version];
}

Counts read_counts(const std::string& text) {
  Counts counts;
  const auto json = parse_json(text);
  if (!json.is_object()) return counts;
  for (const auto& [name, value] : json.items())
    if (value.is_number_integer()) counts[name] = value.get<std::int64_t>();
  return counts;
}

std::optional<Run> last_run(Connection& connection) {
  auto row =
      connection.query("SELECT id, command, started, finished, counts, exit_code FROM runs ORDER BY id DESC LIMIT 1");
  if (!row.next()) return std::nullopt;
  Run run{row.integer(0), row.bytes(1), row.bytes(2), row.bytes(3), read_counts(row.bytes(4)), std::nullopt};
  if (!row.is_null(5)) run.exit_code = static_cast<int>(row.integer(5));
  return run;
}

}  // namespace

Result<CatalogueStatus> CatalogueReader::status(const CurrentStages& current) const {
  return guarded([&] {
    Connection& c = *connection_;
    CatalogueStatus status;
    status.schema_version = schema_version(c, migrations());
    status.assets = c.integer("SELECT count(*) FROM assets");
    status.unhashed_files = c.integer(
        "SELECT count(*) FROM files WHERE file_hash IS NULL AND state = 'present' "
        "AND NOT EXISTS(SELECT 1 FROM failures x WHERE x.file_id = files.id AND x.size = files.size "
        "AND x.mtime_ns = files.mtime_ns)");
    status.by_kind = count_by(c, "SELECT kind, count(*) FROM assets WHERE shown = 1 GROUP BY kind");
    status.by_format =
        count_by(c, "SELECT format, count(*) FROM files WHERE state NOT IN ('missing', 'excluded') GROUP BY format");
    status.by_state = count_by(c, "SELECT state, count(*) FROM files GROUP BY state");
    status.failures = count_by(c, "SELECT code, count(*) FROM failures GROUP BY code");
    status.media_bytes = c.integer("SELECT sum(size) FROM files WHERE state NOT IN ('missing', 'excluded')");
    status.stages = stage_counts(c);
    for (const PendingQuery& pass : current.passes) count_stale(c, pass, status.stages);
    if (!current.metadata_version.empty()) count_stale_metadata(c, current.metadata_version, status.stages);
    status.spaces = read_spaces(c);
    for (auto row = c.query("SELECT path FROM roots ORDER BY path"); row.next();) status.roots.push_back(row.bytes(0));
    status.runs = c.integer("SELECT count(*) FROM runs");
    status.last_run = last_run(c);
    status.size_bytes = bytes_on_disk(c.path()) + bytes_on_disk(c.path() + "-wal");
    return status;
  });
}

}  // namespace image_engine::store
