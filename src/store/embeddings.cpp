// Spaces of vectors, and the vectors in them.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/text.h"
#include "store/rows.h"
#include "store/writer_state.h"

namespace image_engine::store {
namespace {

#define IE_SPACE_COLUMNS                                                                           \
  "s.id, s.stage, s.model, s.version, s.params, s.dimensions, s.active, s.generation, s.created, " \
  "(SELECT count(*) FROM embeddings e WHERE e.space_id = s.id) + "                                 \
  "(SELECT count(*) FROM moment_embeddings m WHERE m.space_id = s.id) FROM spaces s "
Space read_space_row(const Query& row) {
  return {row.integer(0),
          {row.bytes(1), row.bytes(2), row.bytes(3), row.bytes(4)},
          static_cast<std::size_t>(row.integer(5)),
          row.integer(6) != 0,
          row.integer(7),
          row.integer(9),
          row.bytes(8)};
}

std::string_view bytes_of_half(std::span<const std::uint16_t> vector) {
  return {reinterpret_cast<const char*>(vector.data()), vector.size_bytes()};
}

std::vector<std::uint16_t> half_from_bytes(std::string_view bytes) {
  std::vector<std::uint16_t> vector(bytes.size() / sizeof(std::uint16_t));
  if (!vector.empty()) std::memcpy(vector.data(), bytes.data(), vector.size() * sizeof(std::uint16_t));
  return vector;
}

void require_vector_of(Connection& connection, SpaceId space, std::span<const std::uint16_t> vector) {
  require_space(connection, space);
  const auto wanted = static_cast<std::size_t>(connection.integer("SELECT dimensions FROM spaces WHERE id = ?", space));
  if (vector.size() != wanted)
    raise(ErrorCode::kInvalidArgument, "a vector of " + std::to_string(vector.size()) + " numbers is not of space " +
                                           std::to_string(space) + ", which has " + std::to_string(wanted));
}

}  // namespace

SpaceId space_of(Connection& connection, const StageKey& key) {
  const SpaceId space =
      connection.integer("SELECT id FROM spaces WHERE stage = ? AND model = ? AND version = ? AND params = ?",
                         key.stage, key.model, key.version, key.params);
  if (space == 0) raise(ErrorCode::kInvalidArgument, "catalogue: there is no space for vectors of " + key.model);
  return space;
}

void put_in_space(Connection& connection, AssetId asset, SpaceId space, std::span<const std::uint16_t> vector) {
  require_vector_of(connection, space, vector);
  // Writing the same vector again is no change.
  connection.run(
      "INSERT INTO embeddings(space_id, asset_id, vector) VALUES(?, ?, ?) "
      "ON CONFLICT(space_id, asset_id) DO UPDATE SET vector = excluded.vector WHERE vector <> excluded.vector",
      space, asset, Blob{bytes_of_half(vector)});
}

void put_in_space(Connection& connection, AssetId asset, MomentId moment, SpaceId space,
                  std::span<const std::uint16_t> vector) {
  require_vector_of(connection, space, vector);
  connection.run(
      "INSERT INTO moment_embeddings(space_id, asset_id, moment, vector) VALUES(?, ?, ?, ?) ON CONFLICT(space_id, "
      "asset_id, moment) DO UPDATE SET vector = excluded.vector WHERE vector <> excluded.vector",
      space, asset, moment, Blob{bytes_of_half(vector)});
}

std::string vectors_path(const std::string& catalogue, SpaceId space) {
  return catalogue + ".vectors-" + std::to_string(space);
}

void forget_space(Connection& connection, SpaceId space) {
  connection.run("DELETE FROM spaces WHERE id = ?", space);
  // If the deletion is rolled back, search rebuilds the file.
  ::unlink(vectors_path(connection.path(), space).c_str());
}

std::vector<Space> read_spaces(Connection& connection) {
  std::vector<Space> spaces;
  for (auto row = connection.query("SELECT " IE_SPACE_COLUMNS "ORDER BY s.stage, s.active DESC, s.id"); row.next();)
    spaces.push_back(read_space_row(row));
  return spaces;
}

// ---- Reading

Result<std::vector<Space>> VectorReader::spaces(const std::string& stage) const {
  return guarded([&] {
    // Those of other stages are not counted: that takes longer than a search.
    std::vector<Space> spaces;
    auto row = connection_->query("SELECT " IE_SPACE_COLUMNS "WHERE s.stage = ? ORDER BY s.active DESC, s.id", stage);
    while (row.next()) spaces.push_back(read_space_row(row));
    return spaces;
  });
}

Status VectorReader::changed_vectors(
    SpaceId space, std::int64_t generation,
    const std::function<Status(VectorId, std::span<const std::uint16_t>)>& take) const {
  constexpr char kAll[] =
      "SELECT asset_id, vector FROM embeddings WHERE space_id = ?1 UNION ALL "
      "SELECT asset_id + (moment << 27), vector FROM moment_embeddings WHERE space_id = ?1";
  constexpr char kChanged[] =
      "SELECT c.vector_id, coalesce(e.vector, m.vector) FROM embedding_changes c "
      "LEFT JOIN embeddings e ON e.space_id = c.space_id AND e.asset_id = c.vector_id "
      "LEFT JOIN moment_embeddings m ON m.space_id = c.space_id AND m.asset_id = (c.vector_id & ((1 << 27) - 1)) "
      "AND m.moment = c.vector_id >> 27 WHERE c.space_id = ?1 AND c.generation > ?2 ORDER BY c.vector_id";
  static_assert(kAssetBits == 27);
  return guarded([&] {
    auto row = generation == 0 ? connection_->query(kAll, space) : connection_->query(kChanged, space, generation);
    while (row.next())
      if (const Status taken = take(row.integer(0), half_from_bytes(row.bytes(1))); !taken)
        throw SqlFailure{taken.error()};
  });
}

Result<std::optional<std::vector<std::uint16_t>>> VectorReader::vector_of(SpaceId space, VectorId id) const {
  return guarded([&]() -> std::optional<std::vector<std::uint16_t>> {
    constexpr char kOwn[] =
        "SELECT vector FROM embeddings e JOIN spaces s ON s.id = e.space_id "
        "WHERE e.space_id = ? AND e.asset_id = ? AND ? = 0 AND length(CAST(e.vector AS BLOB)) = 2 * s.dimensions";
    constexpr char kOfMoment[] =
        "SELECT vector FROM moment_embeddings e JOIN spaces s ON s.id = e.space_id "
        "WHERE e.space_id = ? AND e.asset_id = ? AND e.moment = ? AND length(CAST(e.vector AS BLOB)) = 2 * "
        "s.dimensions";
    auto row = connection_->query(moment_of(id) == 0 ? kOwn : kOfMoment, space, asset_of(id), moment_of(id));
    if (!row.next()) return std::nullopt;
    return half_from_bytes(row.bytes(0));
  });
}

Result<std::vector<std::pair<MomentId, std::vector<std::uint16_t>>>> VectorReader::moment_vectors(SpaceId space,
                                                                                                  AssetId asset) const {
  return guarded([&] {
    std::vector<std::pair<MomentId, std::vector<std::uint16_t>>> vectors;
    auto row = connection_->query(
        "SELECT e.moment, e.vector FROM moment_embeddings e JOIN spaces s ON s.id = e.space_id WHERE e.space_id = ? "
        "AND e.asset_id = ? AND length(CAST(e.vector AS BLOB)) = 2 * s.dimensions ORDER BY e.moment",
        space, asset);
    while (row.next()) vectors.emplace_back(row.integer(0), half_from_bytes(row.bytes(1)));
    return vectors;
  });
}

Result<std::vector<AssetId>> VectorReader::moments_not_embedded(const std::string& stage, SpaceId space) const {
  return guarded([&] {
    std::vector<AssetId> assets;
    auto row = connection_->query(
        "SELECT DISTINCT r.asset_id FROM records r WHERE r.stage = ?1 AND r.asset_id IS NOT NULL "
        "AND EXISTS(SELECT 1 FROM moment_records m WHERE m.asset_id = r.asset_id AND m.stage = ?1) "
        "AND NOT EXISTS(SELECT 1 FROM moment_embeddings e WHERE e.space_id = ?2 AND e.asset_id = r.asset_id) "
        "ORDER BY r.asset_id",
        stage, space);
    while (row.next()) assets.push_back(row.integer(0));
    return assets;
  });
}

Result<std::vector<AssetId>> VectorReader::assets_without(SpaceId space, const StageKey& key) const {
  return guarded([&] {
    std::vector<AssetId> assets;
    auto row = connection_->query(
        "WITH embedded(asset_id) AS (SELECT asset_id FROM embeddings WHERE space_id = ?1 "
        "UNION SELECT asset_id FROM moment_embeddings WHERE space_id = ?1) "
        "SELECT e.asset_id FROM embedded e WHERE NOT EXISTS(SELECT 1 FROM records r WHERE r.asset_id = e.asset_id "
        "AND r.stage = ?2 AND r.model = ?3 AND r.version = ?4 AND r.params = ?5) ORDER BY e.asset_id",
        space, key.stage, key.model, key.version, key.params);
    while (row.next()) assets.push_back(row.integer(0));
    return assets;
  });
}

Result<std::vector<AssetId>> VectorReader::objects_without(const std::string& object, const StageKey& key) const {
  return guarded([&] {
    std::vector<AssetId> assets;
    auto row = connection_->query(
        "SELECT o.asset_id FROM asset_objects o JOIN assets a ON a.id = o.asset_id WHERE o.name = ? AND a.shown = 1 "
        "AND NOT EXISTS(SELECT 1 FROM records r WHERE r.asset_id = o.asset_id AND r.stage = ? AND r.model = ? "
        "AND r.version = ? AND r.params = ?) ORDER BY o.asset_id",
        object, key.stage, key.model, key.version, key.params);
    while (row.next()) assets.push_back(row.integer(0));
    return assets;
  });
}

Result<std::vector<ObjectVector>> VectorReader::object_vectors(SpaceId space, const std::string& object) const {
  return guarded([&] {
    std::vector<ObjectVector> vectors;
    auto row = connection_->query(
        "SELECT e.asset_id, e.object, e.box, e.vector FROM object_embeddings e JOIN spaces s ON s.id = e.space_id "
        "WHERE e.space_id = ? AND e.object = ? AND length(CAST(e.vector AS BLOB)) = 2 * s.dimensions ORDER BY "
        "e.asset_id, e.box",
        space, object);
    while (row.next())
      vectors.push_back(
          {row.integer(0), row.bytes(1), box_from_json(row.bytes(2)).value_or(Box()), half_from_bytes(row.bytes(3))});
    return vectors;
  });
}

Result<std::vector<std::pair<std::string, std::int64_t>>> LabelReader::terms() const {
  return guarded([&] {
    std::map<std::string, std::int64_t> counts;
    auto row = connection_->query(
        "SELECT t.keyword, t.object, t.scene, t.product FROM asset_text t "
        "JOIN assets a ON a.id = t.rowid WHERE a.shown = 1 "
        "AND (t.keyword <> '' OR t.object <> '' OR t.scene <> '' OR t.product <> '')");
    while (row.next()) {
      std::set<std::string> terms;
      for (const int column : {0, 1, 2, 3}) {
        const std::string lines = row.bytes(column);
        for (std::size_t from = 0; from < lines.size();) {
          const std::size_t to = std::min(lines.find('\n', from), lines.size());
          if (to > from) terms.insert(lines.substr(from, to - from));
          from = to + 1;
        }
      }
      for (const std::string& term : terms) ++counts[term];
    }
    return std::vector<std::pair<std::string, std::int64_t>>(counts.begin(), counts.end());
  });
}

Result<std::vector<std::pair<std::string, std::vector<std::uint16_t>>>> VectorReader::term_vectors(
    const std::string& model) const {
  return guarded([&] {
    std::vector<std::pair<std::string, std::vector<std::uint16_t>>> vectors;
    for (auto row = connection_->query("SELECT term, vector FROM term_vectors WHERE model = ? ORDER BY term", model);
         row.next();)
      vectors.emplace_back(row.bytes(0), half_from_bytes(row.bytes(1)));
    return vectors;
  });
}

Result<bool> VectorReader::has_term_vectors() const {
  return guarded([&] { return connection_->integer("SELECT EXISTS(SELECT 1 FROM term_vectors)") != 0; });
}

// ---- Writing

Result<Space> VectorWriter::open_space(const StageKey& key, std::size_t dimensions) {
  if (dimensions == 0) return fail(ErrorCode::kInvalidArgument, "a vector space needs dimensions");
  return state_->change([&] {
    Connection& c = state_->connection;
    c.run(
        "INSERT INTO spaces(stage, model, version, params, dimensions, active, created) "
        "VALUES(?1, ?2, ?3, ?4, ?5, NOT EXISTS(SELECT 1 FROM spaces WHERE stage = ?1), ?6) "
        "ON CONFLICT(stage, model, version, params) DO NOTHING",
        key.stage, key.model, key.version, key.params, dimensions, utc_now());
    auto row =
        c.query("SELECT " IE_SPACE_COLUMNS "WHERE s.stage = ? AND s.model = ? AND s.version = ? AND s.params = ?",
                key.stage, key.model, key.version, key.params);
    row.next();
    Space space = read_space_row(row);
    if (space.dimensions != dimensions)
      raise(ErrorCode::kInvalidArgument, "vectors of " + key.model + " " + key.version + " have " +
                                             std::to_string(space.dimensions) + " numbers in the catalogue, not " +
                                             std::to_string(dimensions));
    return space;
  });
}

Status VectorWriter::put_vector(AssetId asset, SpaceId space, std::span<const std::uint16_t> vector) {
  return state_->change([&] {
    require_asset(state_->connection, asset);
    put_in_space(state_->connection, asset, space, vector);
  });
}

Status VectorWriter::drop_moment_vectors(AssetId asset, SpaceId space) {
  return state_->change([&] {
    state_->connection.run("DELETE FROM moment_embeddings WHERE space_id = ? AND asset_id = ?", space, asset);
  });
}

Status VectorWriter::activate_space(SpaceId space) {
  return state_->change([&] {
    Connection& c = state_->connection;
    require_space(c, space);
    c.run("UPDATE spaces SET active = 0 WHERE active = 1 AND stage = (SELECT stage FROM spaces WHERE id = ?)", space);
    c.run("UPDATE spaces SET active = 1 WHERE id = ?", space);
  });
}

Status VectorWriter::drop_space(SpaceId space) {
  return state_->change([&] {
    Connection& c = state_->connection;
    require_space(c, space);
    c.run(
        "DELETE FROM records WHERE (stage, model, version, params) = "
        "(SELECT stage, model, version, params FROM spaces WHERE id = ?)",
        space);
    forget_space(c, space);
  });
}

Status VectorWriter::set_object_vectors(SpaceId space, AssetId asset, const std::string& object,
                                        const std::vector<ObjectVector>& vectors) {
  return state_->change([&] {
    Connection& c = state_->connection;
    require_space(c, space);
    require_asset(c, asset);
    for (const ObjectVector& found : vectors) require_vector_of(c, space, found.vector);
    c.run("DELETE FROM object_embeddings WHERE space_id = ? AND asset_id = ? AND object = ?", space, asset, object);
    for (const ObjectVector& found : vectors)
      c.run(
          "INSERT INTO object_embeddings(space_id, asset_id, object, box, vector) VALUES(?, ?, ?, ?, ?) "
          "ON CONFLICT DO NOTHING",
          space, asset, object, box_to_json(found.box), Blob{bytes_of_half(found.vector)});
  });
}

Status VectorWriter::put_term_vectors(const std::string& model,
                                      const std::vector<std::pair<std::string, std::vector<std::uint16_t>>>& vectors) {
  return state_->change([&] {
    for (const auto& [term, vector] : vectors)
      state_->connection.run(
          "INSERT INTO term_vectors(model, term, vector) VALUES(?, ?, ?) "
          "ON CONFLICT(model, term) DO UPDATE SET vector = excluded.vector",
          model, to_utf8(term), Blob{bytes_of_half(vector)});
  });
}

}  // namespace image_engine::store
