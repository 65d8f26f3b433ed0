// The data of `image-engine status`.
#include <sys/stat.h>

#include <nlohmann/json.hpp>

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

// The key written last is the current one of each stage and model.
std::vector<CatalogueStatus::StageCount> stage_counts(Connection& connection) {
  std::vector<CatalogueStatus::StageCount> stages;
  std::map<std::string, std::int64_t> newest;
  std::vector<std::int64_t> last;
  auto row = connection.query(
      "SELECT stage, model, version, params, count(*), max(id) FROM records GROUP BY stage, model, version, params");
  while (row.next()) {
    stages.push_back({{row.bytes(0), row.bytes(1), row.bytes(2), row.bytes(3)}, row.integer(4), false});
    last.push_back(row.integer(5));
    auto& top = newest[row.bytes(0)];
    top = std::max(top, last.back());
  }
  for (size_t i = 0; i < stages.size(); ++i) stages[i].stale = last[i] < newest[stages[i].key.stage];
  return stages;
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

Result<CatalogueStatus> CatalogueReader::status() const {
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
    status.spaces = read_spaces(c);
    for (auto row = c.query("SELECT path FROM roots ORDER BY path"); row.next();) status.roots.push_back(row.bytes(0));
    status.runs = c.integer("SELECT count(*) FROM runs");
    status.last_run = last_run(c);
    status.size_bytes = bytes_on_disk(c.path()) + bytes_on_disk(c.path() + "-wal");
    return status;
  });
}

}  // namespace image_engine::store
