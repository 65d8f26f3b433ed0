#include "store/catalogue.h"
#include "store/rows.h"

namespace image_engine::store {

Result<std::vector<AssetBrief>> FileReader::briefs(MediaKind kind) const {
  return guarded([&] {
    std::vector<AssetBrief> briefs;
    auto row = connection_->query(
        "SELECT a.id, f.path, COUNT(*), f.size, a.format, a.width, a.height, a.taken_seconds, "
        "TRIM(COALESCE(a.make, '') || ' ' || COALESCE(a.model, '')), a.latitude IS NOT NULL, "
        "COALESCE(u.rating, a.rating), MIN(f.state = 'offline'), f.mtime_ns, length(a.taken) >= 19 "
        "FROM assets a JOIN files f ON f.asset_id = a.id AND f.state NOT IN ('missing', 'excluded') "
        "LEFT JOIN user_ratings u ON u.asset_hash = a.hash "
        "WHERE a.kind = ? AND a.shown = 1 AND a.hash IS NOT NULL GROUP BY a.id ORDER BY a.id",
        kind_name(kind));
    while (row.next()) {
      AssetBrief& brief = briefs.emplace_back();
      brief.id = row.integer(0);
      brief.path = row.bytes(1);
      brief.files = row.integer(2);
      brief.bytes = row.integer(3);
      brief.format = format_from_name(row.bytes(4));
      brief.width = row.integer(5);
      brief.height = row.integer(6);
      if (!row.is_null(7)) brief.taken_seconds = row.integer(7);
      brief.taken_to_the_second = row.integer(13) != 0;
      brief.camera = row.bytes(8);
      brief.has_gps = row.integer(9) != 0;
      brief.mtime_ns = row.integer(12);
      if (!row.is_null(10)) brief.rating = static_cast<int>(row.integer(10));
    }
    return briefs;
  });
}

Result<std::map<std::string, Metadata>> FileReader::file_metadata(AssetId id) const {
  return guarded([&] {
    std::map<std::string, Metadata> found;
    auto row = connection_->query(
        "SELECT f.path, r.data FROM files f JOIN records r ON r.file_id = f.id AND r.stage = ? WHERE f.asset_id = ?",
        kMetadataStage, id);
    while (row.next())
      if (auto facts = facts_from_json(row.bytes(1))) found.emplace(row.bytes(0), std::move(facts->metadata));
    return found;
  });
}

Result<std::vector<StageData>> RecordReader::stage_data(const StageKey& key) const {
  return guarded([&] {
    std::vector<StageData> records;
    auto row = connection_->query(
        "SELECT asset_id, data FROM records WHERE stage = ? AND model = ? AND version = ? AND params = ? "
        "AND asset_id IS NOT NULL ORDER BY asset_id",
        key.stage, key.model, key.version, key.params);
    while (row.next()) records.push_back({row.integer(0), row.bytes(1)});
    return records;
  });
}

Result<bool> RecordReader::has_records(std::string_view stage) const {
  return guarded([&] {
    return connection_->integer("SELECT EXISTS(SELECT 1 FROM records WHERE stage = ? AND asset_id IS NOT NULL)",
                                stage) != 0;
  });
}

Result<std::vector<std::string>> RecordReader::subject_names() const {
  return guarded([&] {
    std::vector<std::string> names;
    auto row = connection_->query(
        "WITH RECURSIVE n(name) AS (SELECT min(name) FROM asset_subjects UNION ALL "
        "SELECT (SELECT min(name) FROM asset_subjects WHERE name > n.name) FROM n WHERE n.name IS NOT NULL) "
        "SELECT name FROM n WHERE name IS NOT NULL");
    while (row.next()) names.push_back(row.bytes(0));
    return names;
  });
}

Result<std::vector<StageData>> RecordReader::subject_looks() const {
  return guarded([&] {
    std::vector<StageData> looks;
    auto row = connection_->query("SELECT asset_id, look FROM asset_subject_looks ORDER BY asset_id");
    while (row.next()) looks.push_back({row.integer(0), row.bytes(1)});
    return looks;
  });
}

}  // namespace image_engine::store
