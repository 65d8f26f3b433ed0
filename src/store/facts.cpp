// Writes facts of stages, each kind to its tables.
#include "store/facts.h"

#include "core/text.h"
#include "store/rows.h"
#include "store/writer_state.h"
#include "types/half.h"

namespace image_engine::store {
namespace {

void put_text(Connection& c, AssetId asset, TextField field, const std::vector<std::string>& lines) {
  if (field >= TextField::kAny)
    raise(ErrorCode::kInvalidArgument, "catalogue: text facts of an asset need a column of the text index");
  std::string body;
  for (const std::string& line : lines) {
    if (!body.empty()) body += '\n';
    body += to_utf8(line);
  }
  if (body.empty())
    c.run("DELETE FROM asset_found_text WHERE asset_id = ? AND field = ?", asset, text_field_name(field));
  else
    c.run(
        "INSERT INTO asset_found_text(asset_id, field, body) VALUES(?, ?, ?) "
        "ON CONFLICT(asset_id, field) DO UPDATE SET body = excluded.body",
        asset, text_field_name(field), body);
}

// One of each kind of fact.
void put(Connection& c, AssetId asset, const CountFacts& facts) {
  if (facts.field != TextField::kObjects && facts.field != TextField::kProducts)
    raise(ErrorCode::kInvalidArgument, "catalogue: only objects or products are counted");
  std::vector<std::string> names;
  for (const FoundObjects& found : facts.things) names.push_back(found.name);
  put_text(c, asset, facts.field, names);
  const std::string table(counted_in(facts.field).table);
  c.run("DELETE FROM " + table + " WHERE asset_id = ?", asset);
  for (const FoundObjects& found : facts.things)
    c.run("INSERT INTO " + table + "(asset_id, name, count, confidence) VALUES(?, ?, ?, ?)", asset, to_utf8(found.name),
          found.count, found.confidence);
}

void put(Connection& c, AssetId asset, const ClassFacts& facts) { put_classes(c, asset, facts); }
void put(Connection& c, AssetId asset, const TextFacts& facts) { put_text(c, asset, facts.field, facts.lines); }
void put(Connection& c, AssetId asset, const SubjectFacts& facts) {
  c.run("DELETE FROM asset_subjects WHERE asset_id = ?", asset);
  for (const FoundSubject& found : facts.subjects)
    c.run("INSERT INTO asset_subjects(asset_id, name, share, confidence) VALUES(?, ?, ?, ?)", asset,
          to_utf8(found.name), found.share, found.confidence);
  c.run("DELETE FROM asset_subject_looks WHERE asset_id = ?", asset);
  if (!facts.look.empty())
    c.run("INSERT INTO asset_subject_looks(asset_id, look) VALUES(?, ?)", asset, Blob{facts.look});
}
void put(Connection& c, AssetId asset, const VectorFact& fact) {
  put_in_space(c, asset, space_of(c, fact.space), to_half(fact.numbers));
}

}  // namespace

Status RecordWriter::put_fact(AssetId asset, const Fact& fact) {
  return state_->change([&] {
    require_asset(state_->connection, asset);
    std::visit([&](const auto& one) { put(state_->connection, asset, one); }, fact);
    const bool has_words = !std::holds_alternative<VectorFact>(fact) && !std::holds_alternative<SubjectFacts>(fact);
    if (has_words) state_->dirty.insert(asset);
  });
}

}  // namespace image_engine::store
