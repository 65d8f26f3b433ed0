#include "store/explain.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "store/asset_index.h"
#include "store/conditions.h"
#include "store/rows.h"

namespace image_engine::store {
namespace {

struct Token {
  std::string text;
  size_t from, to;
};

std::vector<Token> tokens_of(Connection& connection, std::string_view text) {
  std::vector<Token> tokens;
  connection.tokenize(text, [&](std::string_view token, int from, int to) {
    tokens.push_back({std::string(token), static_cast<size_t>(from), static_cast<size_t>(to)});
  });
  return tokens;
}

bool begins_at(const std::vector<Token>& tokens, size_t at, const std::vector<std::string>& wanted, bool prefix) {
  if (wanted.empty() || at + wanted.size() > tokens.size()) return false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string& token = tokens[at + i].text;
    const bool open = prefix && i + 1 == wanted.size();
    if (open ? !token.starts_with(wanted[i]) : token != wanted[i]) return false;
  }
  return true;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The line, or what is around the match in a long one.
std::string excerpt(std::string_view line, size_t match) {
  constexpr size_t kBefore = 60;
  constexpr size_t kMost = 200;
  if (line.size() <= kMost) return std::string(line);
  size_t from = match > kBefore ? match - kBefore : 0;
  while (from > 0 && is_continuation(line[from])) --from;
  size_t to = std::min(line.size(), from + kMost);
  while (to < line.size() && is_continuation(line[to])) ++to;
  return (from > 0 ? "…" : "") + std::string(line.substr(from, to - from)) + (to < line.size() ? "…" : "");
}

// With its zone, where it has one, as `show` gives it.
std::string taken_text(Query& row) {
  CaptureTime time;
  time.local = row.bytes(0);
  if (!row.is_null(6)) time.offset_minutes = static_cast<int>(row.integer(6));
  return time.iso();
}

void add(FoundAsset& asset, std::string_view field, std::string text) {
  Why why{std::string(field), std::move(text)};
  if (std::ranges::find(asset.why, why) == asset.why.end()) asset.why.push_back(std::move(why));
}

}  // namespace

Explainer::Explainer(Connection& connection, const AssetQuery& query) : connection_(connection) {
  const auto add_pattern = [&](const TextCondition& condition) {
    Pattern pattern{condition.field, {}, {}, condition.prefix};
    const std::string text = query_text(condition.text);
    if (has_unspaced_script(text))
      pattern.anywhere = ascii_lower(text);
    else
      for (Token& token : tokens_of(connection_, text)) pattern.tokens.push_back(std::move(token.text));
    patterns_.push_back(std::move(pattern));
  };
  for (const TextCondition& word : query.words) add_pattern(word);
  for (const Filter& filter : query.filters) {
    if (filter.negated) continue;
    if (const auto* text = std::get_if<TextCondition>(&filter.condition))
      add_pattern(*text);
    else
      facts_.push_back(filter.condition);
  }
}

FoundAsset Explainer::explain(AssetId id) {
  FoundAsset asset;
  asset.id = id;
  {
    auto row = connection_.query(
        "SELECT path, state FROM files WHERE asset_id = ? "
        "ORDER BY state = 'missing', state = 'offline', id LIMIT 1",
        id);
    if (row.next()) {
      asset.path = row.bytes(0);
      asset.state = state_from_name(row.bytes(1));
    }
  }
  if (!patterns_.empty()) explain_text(asset);
  if (!facts_.empty()) explain_facts(asset);
  return asset;
}

void Explainer::explain_text(FoundAsset& asset) {
  auto row = connection_.query(
      "SELECT name, title, description, keyword, place, camera, lens, creator, object, scene, text, caption, person "
      "FROM asset_text WHERE rowid = ?",
      asset.id);
  if (!row.next()) return;
  for (size_t i = 0; i < kTextFields; ++i) {
    const std::string text = row.bytes(static_cast<int>(i));
    for (size_t from = 0; from < text.size();) {
      const size_t to = std::min(text.find('\n', from), text.size());
      explain_line(std::string_view(text).substr(from, to - from), static_cast<TextField>(i), asset);
      from = to + 1;
    }
  }
}

void Explainer::explain_line(std::string_view line, TextField field, FoundAsset& asset) {
  const auto tokens = tokens_of(connection_, line);
  const std::string lower = ascii_lower(line);
  for (const Pattern& pattern : patterns_) {
    if (pattern.field != TextField::kAny && pattern.field != field) continue;
    size_t match = pattern.anywhere.empty() ? std::string::npos : lower.find(pattern.anywhere);
    for (size_t at = 0; match == std::string::npos && at < tokens.size(); ++at)
      if (begins_at(tokens, at, pattern.tokens, pattern.prefix)) match = tokens[at].from;
    if (match == std::string::npos) continue;
    std::string text;
    if (field == TextField::kObjects) text = objects_text(asset.id, line);
    if (field == TextField::kScene || field == TextField::kKeywords) text = class_text(asset.id, field, line);
    add(asset, text_field_name(field), text.empty() ? excerpt(line, match) : text);
    return;
  }
}

std::string Explainer::objects_text(AssetId asset, std::string_view name) {
  auto row = connection_.query("SELECT name, count, confidence FROM asset_objects WHERE asset_id = ? AND name = ?",
                               asset, query_text(name));
  if (!row.next()) return std::string(name);
  const std::int64_t count = row.integer(1);
  return fmt::format("{} {:.2f}{}", row.bytes(0), row.real(2), count > 1 ? fmt::format(", {} of them", count) : "");
}

std::string Explainer::class_text(AssetId asset, TextField field, std::string_view name) {
  auto row =
      connection_.query("SELECT name, confidence FROM asset_classes WHERE asset_id = ? AND field = ? AND name = ?",
                        asset, text_field_name(field), query_text(name));
  return row.next() ? fmt::format("{} {:.2f}", row.bytes(0), row.real(1)) : std::string();
}

void Explainer::explain_facts(FoundAsset& asset) {
  auto row = connection_.query(
      "SELECT taken, rating, latitude, longitude, format, kind, taken_offset FROM assets WHERE id = ?", asset.id);
  if (!row.next()) return;
  for (const Condition& condition : facts_) {
    if (std::holds_alternative<TakenCondition>(condition)) add(asset, "taken", taken_text(row));
    if (std::holds_alternative<RatingCondition>(condition)) add(asset, "rating", row.bytes(1));
    if (const auto* near = std::get_if<NearCondition>(&condition))
      add(asset, "near",
          fmt::format("{:.1f} km", distance_km(near->latitude, near->longitude, row.real(2), row.real(3))));
    if (std::holds_alternative<PathCondition>(condition)) add(asset, "path", to_utf8(asset.path));
    if (const auto* type = std::get_if<TypeCondition>(&condition))
      add(asset, "type", row.bytes(type->formats.empty() ? 5 : 4));
    if (const auto* objects = std::get_if<ObjectsCondition>(&condition))
      add(asset, text_field_name(TextField::kObjects), objects_text(asset.id, objects->name));
    if (std::holds_alternative<StateCondition>(condition)) add(asset, "state", std::string(state_name(asset.state)));
  }
}

}  // namespace image_engine::store
