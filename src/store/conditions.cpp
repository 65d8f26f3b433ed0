#include "store/conditions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/text.h"
#include "store/asset_index.h"
#include "store/rows.h"

namespace image_engine::store {
namespace {

constexpr double kEarthRadiusKm = 6371.0088;
// Longer text is not what anybody looks for; SQLite's own limit for LIKE is 50,000.
constexpr size_t kMostQueryText = 1000;
// The trigram tokenizer needs that many characters.
constexpr size_t kTrigram = 3;

double radians(double degrees) { return degrees * std::numbers::pi / 180; }

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    result += c;
    if (c == '"') result += c;
  }
  return result + "\"";
}

std::string anywhere_pattern(std::string_view text) {
  std::string pattern = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern + "%";
}

// For text of one or two characters in scripts without spaces.
std::string like_sql(TextField field) {
  std::string sql = "SELECT rowid FROM asset_trigram WHERE ";
  for (size_t i = 0; i < kTextFields; ++i) {
    const auto column = static_cast<TextField>(i);
    if (field != TextField::kAny && field != column) continue;
    if (!sql.ends_with("WHERE ")) sql += " OR ";
    sql.append(text_field_name(column)) += " LIKE ?1 ESCAPE '\\'";
  }
  return sql;
}

}  // namespace

std::string query_text(std::string_view text) {
  std::string clean = to_utf8(text.substr(0, kMostQueryText));
  std::ranges::replace(clean, '\0', ' ');
  return clean;
}

std::string match_expression(Connection& connection, const TextCondition& condition, bool prefix) {
  const std::string text = query_text(condition.text);
  bool has_token = false;
  connection.tokenize(text, [&](std::string_view, int, int) { has_token = true; });
  if (!has_token) return {};
  std::string expression;
  if (condition.field != TextField::kAny) expression = std::string(text_field_name(condition.field)) + " : ";
  return expression + quoted(text) + (prefix ? " *" : "");
}

double distance_km(double latitude1, double longitude1, double latitude2, double longitude2) {
  const double a = std::sin(radians(latitude2 - latitude1) / 2);
  const double b = std::sin(radians(longitude2 - longitude1) / 2);
  const double h = a * a + std::cos(radians(latitude1)) * std::cos(radians(latitude2)) * b * b;
  return 2 * kEarthRadiusKm * std::asin(std::min(1.0, std::sqrt(h)));
}

IdSet Conditions::ids(Query row) const {
  IdSet found(end_);
  while (row.next()) found.insert(row.integer(0));
  return found;
}

IdSet Conditions::matching(const Condition& condition) {
  return std::visit([&](const auto& typed) { return match(typed); }, condition);
}

IdSet Conditions::matching_text(const TextCondition& condition, bool prefix) {
  const std::string text = query_text(condition.text);
  if (has_unspaced_script(text)) {
    if (count_characters(text) < kTrigram)
      return ids(connection_.query(like_sql(condition.field), anywhere_pattern(text)));
    std::string expression = quoted(text);
    if (condition.field != TextField::kAny)
      expression = std::string(text_field_name(condition.field)) + " : " + expression;
    return ids(connection_.query("SELECT rowid FROM asset_trigram WHERE asset_trigram MATCH ?", expression));
  }
  const std::string expression = match_expression(connection_, condition, prefix);
  if (expression.empty()) return IdSet(end_);
  return ids(connection_.query("SELECT rowid FROM asset_text WHERE asset_text MATCH ?", expression));
}

IdSet Conditions::match(const TakenCondition& condition) {
  const auto from = condition.from.value_or(std::numeric_limits<std::int64_t>::min());
  const auto to = condition.to.value_or(std::numeric_limits<std::int64_t>::max());
  if (condition.absolute)
    return ids(connection_.query(
        "SELECT id FROM assets WHERE taken_seconds - 60 * coalesce(taken_offset, 0) BETWEEN ? AND ?", from, to));
  return ids(connection_.query("SELECT id FROM assets WHERE taken_seconds BETWEEN ? AND ?", from, to));
}

IdSet Conditions::match(const RatingCondition& condition) {
  return ids(connection_.query("SELECT id FROM assets WHERE rating BETWEEN ? AND ?", condition.least, condition.most));
}

IdSet Conditions::match(const NearCondition& condition) {
  IdSet found(end_);
  const double reach = condition.kilometres / kEarthRadiusKm * 180 / std::numbers::pi;  // degrees of latitude
  auto row = connection_.query(
      "SELECT id, latitude, longitude FROM assets WHERE latitude BETWEEN ? AND ? AND longitude IS NOT NULL",
      condition.latitude - reach, condition.latitude + reach);
  while (row.next())
    if (distance_km(condition.latitude, condition.longitude, row.real(1), row.real(2)) <= condition.kilometres)
      found.insert(row.integer(0));
  return found;
}

IdSet Conditions::match(const PathCondition& condition) {
  if (condition.part.empty() || condition.part.size() > 4096 || condition.part.find('\0') != std::string::npos)
    return IdSet(end_);
  return ids(connection_.query("SELECT asset_id FROM files WHERE CAST(path AS TEXT) LIKE ? ESCAPE '\\'",
                               anywhere_pattern(condition.part)));
}

IdSet Conditions::match(const TypeCondition& condition) {
  if (condition.formats.empty())
    return ids(connection_.query("SELECT id FROM assets WHERE kind = ?", kind_name(condition.kind)));
  IdSet found(end_);
  for (const MediaFormat format : condition.formats)
    found.add(ids(connection_.query("SELECT id FROM assets WHERE kind = ? AND format = ?",
                                    kind_name(media_kind(format)), format_name(format))));
  return found;
}

IdSet Conditions::match(const ObjectsCondition& condition) {
  const std::string name = query_text(condition.name);
  if (condition.least > 0)
    return ids(connection_.query("SELECT asset_id FROM asset_objects WHERE name = ? AND count BETWEEN ? AND ?", name,
                                 condition.least, condition.most));
  IdSet found = ids(connection_.query("SELECT asset_id FROM records WHERE stage = 'objects' AND asset_id IS NOT NULL"));
  found.remove(
      ids(connection_.query("SELECT asset_id FROM asset_objects WHERE name = ? AND count > ?", name, condition.most)));
  return found;
}

IdSet Conditions::match(const StateCondition& condition) {
  return ids(connection_.query("SELECT asset_id FROM files WHERE state = ?", state_name(condition.state)));
}

}  // namespace image_engine::store
