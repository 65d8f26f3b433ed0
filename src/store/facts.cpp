// Facts of stages, each kind into its tables.
#include "store/facts.h"

#include "core/text.h"
#include "store/rows.h"
#include "store/writer_state.h"
#include "types/half.h"

namespace image_engine::store {
namespace {

void put_text(Connection& c, AssetId asset, TextField field, const std::vector<std::string>& lines) {
  if (field == TextField::kAny) raise(ErrorCode::kInvalidArgument, "catalogue: found text needs a field");
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

void put_counts(Connection& c, AssetId asset, const CountFacts& facts) {
  if (facts.field != TextField::kObjects && facts.field != TextField::kProducts)
    raise(ErrorCode::kInvalidArgument, "catalogue: counted are objects or products");
  std::vector<std::string> names;
  for (const FoundObjects& found : facts.things) names.push_back(found.name);
  put_text(c, asset, facts.field, names);
  const std::string table(counted_in(facts.field).table);
  c.run("DELETE FROM " + table + " WHERE asset_id = ?", asset);
  for (const FoundObjects& found : facts.things)
    c.run("INSERT INTO " + table + "(asset_id, name, count, confidence) VALUES(?, ?, ?, ?)", asset, to_utf8(found.name),
          found.count, found.confidence);
}

// One of each kind; true when the asset's words have changed.
bool put(Connection& c, AssetId asset, const CountFacts& facts) { return put_counts(c, asset, facts), true; }
bool put(Connection& c, AssetId asset, const ClassFacts& facts) { return put_classes(c, asset, facts), true; }
bool put(Connection& c, AssetId asset, const TextFacts& facts) {
  return put_text(c, asset, facts.field, facts.lines), true;
}
bool put(Connection& c, AssetId asset, const VectorFact& fact) {
  return put_in_space(c, asset, space_of(c, fact.space), to_half(fact.numbers)), false;
}

}  // namespace

Status CatalogueWriter::put_fact(AssetId asset, const Fact& fact) {
  return state_->change([&] {
    require_asset(state_->connection, asset);
    const bool has_words = std::visit([&](const auto& one) { return put(state_->connection, asset, one); }, fact);
    if (has_words) state_->dirty.insert(asset);
  });
}

}  // namespace image_engine::store
