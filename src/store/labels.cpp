// Scenes and learned labels: the classes of pictures, and the examples that labels are learned from.
#include <cstring>
#include <unordered_map>

#include "core/text.h"
#include "store/rows.h"
#include "store/writer_state.h"

namespace image_engine::store {
namespace {

std::string bytes_of_weights(const std::vector<float>& weights) {
  return {reinterpret_cast<const char*>(weights.data()), weights.size() * sizeof(float)};
}

std::vector<float> weights_from_bytes(std::string_view bytes) {
  std::vector<float> weights(bytes.size() / sizeof(float));
  if (!weights.empty()) std::memcpy(weights.data(), bytes.data(), weights.size() * sizeof(float));
  return weights;
}

// Search ignores case, "Car" is "car": a label keeps its first spelling.
std::string known_spelling(Connection& connection, const std::string& name) {
  auto row = connection.query(
      "SELECT name FROM label_heads WHERE name = ?1 COLLATE NOCASE "
      "UNION ALL SELECT name FROM label_examples WHERE name = ?1 COLLATE NOCASE LIMIT 1",
      to_utf8(name));
  return row.next() ? row.bytes(0) : to_utf8(name);
}

struct StoredClass {
  double confidence = 0;
  std::string box;
  bool operator==(const StoredClass&) const = default;
};
StoredClass stored(double confidence, const std::optional<Box>& box) {
  return {confidence, box ? box_to_json(*box) : std::string()};
}

void put_class(Connection& connection, AssetId asset, TextField field, std::string_view name,
               const StoredClass& found) {
  connection.run(
      "INSERT INTO asset_classes(asset_id, field, name, confidence, box) VALUES(?, ?, ?, ?, nullif(?, '')) "
      "ON CONFLICT(asset_id, field, name) DO UPDATE SET confidence = excluded.confidence, box = excluded.box",
      asset, text_field_name(field), name, found.confidence, found.box);
}

}  // namespace

void put_classes(Connection& connection, AssetId asset, const ClassFacts& facts) {
  const TextField column = column_of(facts.field);
  if (column != TextField::kScene && column != TextField::kKeywords)
    raise(ErrorCode::kInvalidArgument, "catalogue: classes are scenes, actions or keywords");
  connection.run("DELETE FROM asset_classes WHERE asset_id = ? AND field = ?", asset, text_field_name(facts.field));
  for (const FoundClass& found : facts.classes)
    put_class(connection, asset, facts.field, to_utf8(found.name), stored(found.confidence, found.box));
}

Status LabelWriter::add_learned_labels(AssetId asset, const std::vector<FoundClass>& labels) {
  return state_->change([&] {
    Connection& c = state_->connection;
    require_asset(c, asset);
    for (const FoundClass& label : labels) {
      const std::string name = known_spelling(c, label.name);
      StoredClass found = stored(label.confidence, label.box);
      auto example = c.query(
          "SELECT positive, box FROM label_examples WHERE name = ? AND "
          "asset_hash = (SELECT hash FROM assets WHERE id = ?)",
          name, asset);
      if (example.next()) {
        if (example.integer(0) == 0) continue;
        found = {1, example.bytes(1)};
      }
      put_class(c, asset, TextField::kKeywords, name, found);
    }
    if (!labels.empty()) state_->dirty.insert(asset);
  });
}

Status LabelWriter::set_label_findings(const std::string& name, const std::vector<LabelFinding>& findings) {
  return state_->change([&] {
    Connection& c = state_->connection;
    const std::string label = known_spelling(c, name);
    const std::string_view field = text_field_name(TextField::kKeywords);
    std::unordered_map<AssetId, StoredClass> old;
    for (auto row =
             c.query("SELECT asset_id, confidence, box FROM asset_classes WHERE field = ? AND name = ?", field, label);
         row.next();)
      old.emplace(row.integer(0), StoredClass{row.real(1), row.bytes(2)});
    for (const LabelFinding& finding : findings) {
      const StoredClass found = stored(finding.confidence, finding.box);
      const auto before = old.extract(finding.asset);
      if (before && before.mapped() == found) continue;
      // An asset may have been deleted since the scan.
      if (c.integer("SELECT EXISTS(SELECT 1 FROM assets WHERE id = ?)", finding.asset) == 0) continue;
      put_class(c, finding.asset, TextField::kKeywords, label, found);
      // The index has only the name.
      if (!before) state_->dirty.insert(finding.asset);
    }
    for (const auto& [asset, gone] : old) {
      c.run("DELETE FROM asset_classes WHERE asset_id = ? AND field = ? AND name = ?", asset, field, label);
      state_->dirty.insert(asset);
    }
  });
}

// ---- Learned labels

Result<std::vector<LearnedLabel>> LabelReader::learned_labels() const {
  return guarded([&] {
    std::vector<LearnedLabel> labels;
    auto row = connection_->query(
        "SELECT n.name, h.object, h.space_id, "
        "iif(length(CAST(h.weights AS BLOB)) = 4 * (SELECT dimensions FROM spaces WHERE id = h.space_id), h.weights, "
        "NULL), h.bias, "
        "h.params, h.trained, "
        "(SELECT count(*) FROM label_examples e WHERE e.name = n.name AND e.positive = 1), "
        "(SELECT count(*) FROM label_examples e WHERE e.name = n.name AND e.positive = 0), "
        "(SELECT count(*) FROM asset_classes c WHERE c.field = 'keyword' AND c.name = n.name) "
        "FROM (SELECT name FROM label_heads UNION SELECT name FROM label_examples) n "
        "LEFT JOIN label_heads h ON h.name = n.name ORDER BY n.name");
    while (row.next()) {
      LearnedLabel label;
      label.name = row.bytes(0);
      label.object = row.bytes(1);
      label.space = row.integer(2);
      label.weights = weights_from_bytes(row.bytes(3));
      label.bias = row.real(4);
      label.params = row.bytes(5);
      label.trained = row.bytes(6);
      label.positive = row.integer(7);
      label.negative = row.integer(8);
      label.found = row.integer(9);
      labels.push_back(std::move(label));
    }
    return labels;
  });
}

Result<std::vector<LabelExample>> LabelReader::label_examples(const std::string& name) const {
  return guarded([&] {
    std::vector<LabelExample> examples;
    auto row = connection_->query(
        "SELECT x.asset_hash, x.positive, x.box, a.id FROM label_examples x LEFT JOIN assets a ON a.hash = "
        "x.asset_hash "
        "WHERE x.name = ? COLLATE NOCASE ORDER BY x.asset_hash",
        to_utf8(name));
    while (row.next()) {
      std::optional<Box> box;
      if (!row.is_null(2)) box = box_from_json(row.bytes(2));
      examples.push_back({hash_from_bytes(row.bytes(0)), row.integer(1) != 0, box, row.integer(3)});
    }
    return examples;
  });
}

Status LabelWriter::set_label_example(const std::string& name, AssetId asset,
                                      const std::optional<LabelExample>& example) {
  if (name.empty()) return fail(ErrorCode::kInvalidArgument, "a label needs a name");
  return state_->change([&] {
    Connection& c = state_->connection;
    const std::string hash = hash_of_asset(c, asset);
    const std::string label = known_spelling(c, name);
    if (!example) return c.run("DELETE FROM label_examples WHERE name = ? AND asset_hash = ?", label, Blob{hash});
    std::optional<std::string> box;
    if (example->box) box = box_to_json(*example->box);
    c.run(
        "INSERT INTO label_examples(name, asset_hash, positive, box, set_at) VALUES(?, ?, ?, ?, ?) "
        "ON CONFLICT(name, asset_hash) DO UPDATE SET positive = excluded.positive, box = excluded.box, "
        "set_at = excluded.set_at",
        label, Blob{hash}, example->positive, box, utc_now());
  });
}

Status LabelWriter::put_learned_label(const LearnedLabel& label) {
  if (label.name.empty()) return fail(ErrorCode::kInvalidArgument, "a label needs a name");
  return state_->change([&] {
    Connection& c = state_->connection;
    std::optional<SpaceId> space;
    if (label.space != 0) space = label.space;
    if (space) require_space(c, *space);
    c.run(
        "INSERT INTO label_heads(name, object, space_id, weights, bias, params, trained) VALUES(?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(name) DO UPDATE SET object = excluded.object, space_id = excluded.space_id, "
        "weights = excluded.weights, bias = excluded.bias, params = excluded.params, trained = excluded.trained",
        known_spelling(c, label.name), to_utf8(label.object), space, Blob{bytes_of_weights(label.weights)}, label.bias,
        label.params, label.trained.empty() ? utc_now() : label.trained);
  });
}

Status LabelWriter::remove_learned_label(const std::string& name) {
  return state_->change([&] {
    Connection& c = state_->connection;
    const std::string label = known_spelling(c, name);
    c.run("DELETE FROM label_examples WHERE name = ?", label);
    const auto examples = c.changes();
    c.run("DELETE FROM label_heads WHERE name = ?", label);
    if (examples + c.changes() == 0) raise(ErrorCode::kNotFound, "there is no learned label " + to_utf8(name));
    for (auto row = c.query("SELECT asset_id FROM asset_classes WHERE field = 'keyword' AND name = ?", label);
         row.next();)
      state_->dirty.insert(row.integer(0));
    c.run("DELETE FROM asset_classes WHERE field = 'keyword' AND name = ?", label);
  });
}

}  // namespace image_engine::store
