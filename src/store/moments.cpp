// Moments of assets, what was found at them, and how far an analysis has come.
#include "store/moments.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/text.h"
#include "store/rows.h"
#include "store/writer_state.h"
#include "types/half.h"

namespace image_engine::store {
namespace {

constexpr std::string_view kKinds[] = {"frame", "scene", "speech", "sound"};

void put_thing(Connection& c, AssetId asset, const MomentThing& thing) {
  c.run(
      "INSERT INTO moment_things(asset_id, field, moment, name, count, confidence) VALUES(?, ?, ?, ?, ?, ?) "
      "ON CONFLICT DO UPDATE SET count = excluded.count, confidence = excluded.confidence",
      asset, text_field_name(thing.field), thing.moment, to_utf8(thing.name), thing.count, thing.confidence);
}

void forget_things(Connection& c, AssetId asset, MomentId moment, TextField field) {
  c.run("DELETE FROM moment_things WHERE asset_id = ? AND field = ? AND moment = ?", asset, text_field_name(field),
        moment);
}

// One of each kind of fact.
void put_at(Connection& c, AssetId asset, MomentId moment, const CountFacts& facts) {
  forget_things(c, asset, moment, facts.field);
  for (const FoundObjects& found : facts.things)
    put_thing(c, asset, {moment, facts.field, found.name, found.count, found.confidence});
}
void put_at(Connection& c, AssetId asset, MomentId moment, const ClassFacts& facts) {
  forget_things(c, asset, moment, facts.field);
  for (const FoundClass& found : facts.classes)
    put_thing(c, asset, {moment, facts.field, found.name, 1, found.confidence});
}
void put_at(Connection& c, AssetId asset, MomentId moment, const TextFacts& facts) {
  forget_things(c, asset, moment, facts.field);
  for (const std::string& line : facts.lines) put_thing(c, asset, {moment, facts.field, line, 1, 1});
}
void put_at(Connection&, AssetId, MomentId, const SubjectFacts&) {
  raise(ErrorCode::kInvalidArgument, "catalogue: masks belong to a photo, not to a moment");
}
void put_at(Connection& c, AssetId asset, MomentId moment, const VectorFact& fact) {
  put_in_space(c, asset, moment, space_of(c, fact.space), to_half(fact.numbers));
}

void require_moment(Connection& c, AssetId asset, MomentId moment) {
  if (c.integer("SELECT EXISTS(SELECT 1 FROM moments WHERE asset_id = ? AND moment = ?)", asset, moment) == 0)
    raise(ErrorCode::kNotFound,
          "moment " + std::to_string(moment) + " of asset " + std::to_string(asset) + " is not in the catalogue");
}

}  // namespace

MomentKind moment_kind_from(std::string_view name) {
  const auto* found = std::ranges::find(kKinds, name);
  return found == std::end(kKinds) ? MomentKind::kFrame : static_cast<MomentKind>(found - std::begin(kKinds));
}

std::string_view moment_kind_name(MomentKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

Status RecordWriter::put_moment(AssetId asset, const Moment& moment) {
  if (moment.id < 1 || !std::isfinite(moment.from) || !std::isfinite(moment.to) || moment.to < moment.from)
    return fail(ErrorCode::kInvalidArgument, "catalogue: a moment has a number from 1 on and ends after it begins");
  return state_->change([&] {
    Connection& c = state_->connection;
    require_asset(c, asset);
    c.run(
        "INSERT INTO moments(asset_id, moment, kind, from_seconds, to_seconds) VALUES(?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET kind = excluded.kind, from_seconds = excluded.from_seconds, "
        "to_seconds = excluded.to_seconds",
        asset, moment.id, moment_kind_name(moment.kind), moment.from, moment.to);
  });
}

Status RecordWriter::put_moment_record(AssetId asset, const MomentRecord& record, std::span<const Fact> facts) {
  return state_->change([&] {
    Connection& c = state_->connection;
    require_moment(c, asset, record.moment);
    if (!record.data.empty())
      c.run(
          "INSERT INTO moment_records(asset_id, stage, moment, data) VALUES(?, ?, ?, ?) "
          "ON CONFLICT DO UPDATE SET data = excluded.data",
          asset, record.stage, record.moment, record.data);
    for (const Fact& fact : facts) std::visit([&](const auto& one) { put_at(c, asset, record.moment, one); }, fact);
  });
}

Status RecordWriter::drop_moment_records(AssetId asset, const std::string& stage, std::optional<TextField> field) {
  return state_->change([&] {
    Connection& c = state_->connection;
    c.run("DELETE FROM moment_records WHERE asset_id = ? AND stage = ?", asset, stage);
    if (field) c.run("DELETE FROM moment_things WHERE asset_id = ? AND field = ?", asset, text_field_name(*field));
    if (field == TextField::kSaid) state_->changed_speech.insert(asset);
  });
}

Status RecordWriter::drop_moments(AssetId asset, MomentRange range) {
  return state_->change([&] {
    for (const char* table : {"moment_embeddings", "moment_things", "moment_records", "moments"})
      state_->connection.run(std::string("DELETE FROM ") + table + " WHERE asset_id = ? AND moment BETWEEN ? AND ?",
                             asset, range.first, range.last);
    if (range.first <= kSpeechMoments.last && range.last >= kSpeechMoments.first) state_->changed_speech.insert(asset);
  });
}

Status RecordWriter::drop_other_records(AssetId asset, const StageKey& key) {
  return state_->change([&] {
    state_->connection.run(
        "DELETE FROM records WHERE asset_id = ? AND stage = ? AND (model, version, params) <> (?, ?, ?)", asset,
        key.stage, key.model, key.version, key.params);
  });
}

Status RecordWriter::drop_record(AssetId asset, const StageKey& key) {
  return state_->change([&] {
    state_->connection.run("DELETE FROM records WHERE asset_id = ? AND (stage, model, version, params) = (?, ?, ?, ?)",
                           asset, key.stage, key.model, key.version, key.params);
  });
}

Status RecordWriter::index_speech(AssetId asset) {
  return state_->change([&] {
    require_asset(state_->connection, asset);
    state_->changed_speech.insert(asset);
  });
}

Status RecordWriter::put_progress(AssetId asset, std::string_view stage,
                                  const std::optional<AnalysisProgress>& progress) {
  return state_->change([&] {
    Connection& c = state_->connection;
    if (!progress) return c.run("DELETE FROM analysis_progress WHERE asset_id = ? AND stage = ?", asset, stage);
    require_asset(c, asset);
    c.run(
        "INSERT INTO analysis_progress(asset_id, stage, key, data) VALUES(?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET key = excluded.key, data = excluded.data",
        asset, stage, progress->key, progress->data);
  });
}

Result<std::optional<AnalysisProgress>> RecordReader::progress(AssetId asset, std::string_view stage) const {
  return guarded([&] {
    std::optional<AnalysisProgress> progress;
    auto row =
        connection_->query("SELECT key, data FROM analysis_progress WHERE asset_id = ? AND stage = ?", asset, stage);
    if (row.next()) progress = {row.bytes(0), row.bytes(1)};
    return progress;
  });
}

Result<std::vector<Moment>> RecordReader::moments(AssetId asset) const {
  return guarded([&] {
    std::vector<Moment> moments;
    auto row = connection_->query(
        "SELECT moment, kind, from_seconds, to_seconds FROM moments WHERE asset_id = ? ORDER BY from_seconds, moment",
        asset);
    while (row.next()) moments.push_back({row.integer(0), moment_kind_from(row.bytes(1)), row.real(2), row.real(3)});
    return moments;
  });
}

Result<std::vector<MomentRecord>> RecordReader::moment_records(AssetId asset) const {
  return guarded([&] {
    std::vector<MomentRecord> records;
    auto row = connection_->query(
        "SELECT moment, stage, data FROM moment_records WHERE asset_id = ? ORDER BY moment, stage", asset);
    while (row.next()) records.push_back({row.integer(0), row.bytes(1), row.bytes(2)});
    return records;
  });
}

Result<std::vector<std::pair<Moment, std::string>>> RecordReader::moment_records(AssetId asset,
                                                                                 const std::string& stage,
                                                                                 MomentId first,
                                                                                 std::size_t most) const {
  return guarded([&] {
    std::vector<std::pair<Moment, std::string>> records;
    auto row = connection_->query(
        "SELECT r.moment, m.kind, m.from_seconds, m.to_seconds, r.data FROM moment_records r JOIN moments m "
        "ON m.asset_id = r.asset_id AND m.moment = r.moment WHERE r.asset_id = ? AND r.stage = ? AND r.moment >= ? "
        "ORDER BY r.moment",
        asset, stage, first);
    while (records.size() < most && row.next())
      records.emplace_back(Moment{row.integer(0), moment_kind_from(row.bytes(1)), row.real(2), row.real(3)},
                           row.bytes(4));
    return records;
  });
}

namespace {

std::vector<MomentThing> read_things(Query row) {
  std::vector<MomentThing> things;
  while (row.next())
    things.push_back({row.integer(0), field_from_name(row.bytes(1)), row.bytes(2), row.integer(3), row.real(4)});
  return things;
}

}  // namespace

std::vector<MomentThing> things_of(Connection& connection, AssetId asset) {
  return read_things(connection.query(
      "SELECT moment, field, name, count, confidence FROM moment_things WHERE asset_id = ? ORDER BY moment, field, "
      "name",
      asset));
}

std::vector<MomentThing> things_but_said(Connection& connection, AssetId asset) {
  // Two ranges of the key: the rows of speech are not read.
  return read_things(connection.query(
      "SELECT moment, field, name, count, confidence FROM moment_things WHERE asset_id = ?1 AND field < ?2 "
      "UNION ALL "
      "SELECT moment, field, name, count, confidence FROM moment_things WHERE asset_id = ?1 AND field > ?2 "
      "ORDER BY moment, field, name",
      asset, text_field_name(TextField::kSaid)));
}

Result<std::vector<MomentThing>> RecordReader::moment_things(AssetId asset) const {
  return guarded([&] { return things_of(*connection_, asset); });
}

}  // namespace image_engine::store
