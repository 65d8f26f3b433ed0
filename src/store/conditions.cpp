#include "store/conditions.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <set>

#include "core/json.h"
#include "core/text.h"
#include "store/asset_index.h"
#include "store/folding.h"
#include "store/phrase.h"
#include "store/rows.h"

namespace image_engine::store {
namespace {

constexpr double kEarthRadiusKm = 6371.0088;
// Nobody searches for longer text; SQLite's own limit for LIKE is 50,000.
constexpr size_t kMostQueryText = 1000;
// The trigram tokenizer needs this many characters.
constexpr size_t kTrigram = 3;

double radians(double degrees) { return degrees * std::numbers::pi / 180; }

std::string phrase(std::string_view text) {
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

std::string strings_json(const std::vector<std::string>& strings) {
  nlohmann::json json = nlohmann::json::array();
  for (const std::string& text : strings) json.push_back(query_text(text));
  return json_text(json);
}

// Each once, with the table's case folding.
std::set<std::string> names_of(const ObjectsCondition& condition) {
  std::set<std::string> names = {ascii_lower(query_text(condition.name))};
  for (size_t i = 0; i < std::min(condition.others.size(), kMostNames); ++i)
    names.insert(ascii_lower(query_text(condition.others[i])));
  return names;
}

}  // namespace

std::string names_json(const ObjectsCondition& condition) {
  const std::set<std::string> names = names_of(condition);
  return strings_json({names.begin(), names.end()});
}

std::string names_json(const SubjectCondition& condition) {
  return strings_json({condition.names.begin(), condition.names.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                              condition.names.size(), kMostNames))});
}

bool is_on_time(const Condition& condition) {
  if (const auto* any = std::get_if<AnyCondition>(&condition))
    return std::ranges::all_of(any->alternatives, [](const std::vector<Filter>& filters) {
      return std::ranges::all_of(filters, [](const Filter& one) { return is_on_time(one.condition); });
    });
  return std::holds_alternative<TakenCondition>(condition) || std::holds_alternative<MonthCondition>(condition);
}

std::string query_text(std::string_view text) {
  std::string clean = to_utf8(text.substr(0, kMostQueryText));
  std::ranges::replace(clean, '\0', ' ');
  return clean;
}

std::string part_of_words(std::string_view text) {
  std::string part = folded_text(query_text(text));
  return character_count(part) < kTrigram ? std::string() : part;
}

std::string match_expression(Connection& connection, const TextCondition& condition, bool prefix) {
  const std::string text = query_text(condition.text);
  bool has_token = false;
  connection.tokenize(text, [&](std::string_view, int, int) { has_token = true; });
  if (!has_token) return {};
  std::string expression;
  if (condition.field != TextField::kAny) expression = std::string(text_field_name(condition.field)) + " : ";
  return expression + phrase(text) + (prefix ? " *" : "");
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

const IdSet& Conditions::matching(const Condition& condition) {
  const auto known = known_.find(&condition);
  if (known != known_.end()) return known->second;
  IdSet found = std::visit([&](const auto& typed) { return match(typed); }, condition);
  return known_.emplace(&condition, std::move(found)).first->second;
}

std::optional<IdSet> Conditions::required(const std::vector<Filter>& filters, bool with_times) {
  std::optional<IdSet> result;
  for (const Filter& filter : filters) {
    if (filter.negated || (!with_times && is_on_time(filter.condition))) continue;
    const IdSet& set = matching(filter.condition);
    result ? result->keep(set) : void(result = set);
  }
  return result;
}

void Conditions::exclude(const std::vector<Filter>& filters, IdSet& from) {
  for (const Filter& filter : filters)
    if (filter.negated) from.remove(matching(filter.condition));
}

// The library has few names of actions and sounds; each is in the column of scenes beside others.
IdSet Conditions::with_name(const TextCondition& condition, bool prefix) {
  const bool action = condition.field == TextField::kAction;
  const std::string_view field = text_field_name(condition.field);
  const std::string_view other = action ? text_field_name(TextField::kZeroShotAction) : field;
  Phrase phrase = phrase_of(connection_, condition);
  phrase.prefix = prefix;
  std::vector<std::string> names;
  for (auto row = connection_.query("SELECT DISTINCT name FROM asset_classes WHERE field IN (?, ?)", field, other);
       row.next();)
    if (has_phrase(connection_, phrase, row.bytes(0))) names.push_back(row.bytes(0));
  return ids(connection_.query(
      "SELECT asset_id FROM asset_classes WHERE field IN (?, ?) AND name IN (SELECT value FROM json_each(?))", field,
      other, strings_json(names)));
}

std::vector<std::string> Conditions::names_with(const Phrase& phrase, std::string_view distinct_names) {
  std::vector<std::string> names;
  for (auto row = connection_.query(distinct_names); row.next();)
    if (has_phrase(connection_, phrase, row.bytes(0))) names.push_back(row.bytes(0));
  return names;
}

namespace {

// A table of findings. Its distinct names are read from its index one by one, since there are few.
struct Findings {
  TextField field;  // its column
  std::string_view names, rows, of_name;
};
constexpr Findings kFindings[] = {
    {TextField::kObjects,
     "WITH RECURSIVE n(name) AS (SELECT min(name) FROM asset_objects UNION ALL "
     "SELECT (SELECT min(name) FROM asset_objects WHERE name > n.name) FROM n WHERE n.name IS NOT NULL) "
     "SELECT name FROM n WHERE name IS NOT NULL",
     "asset_objects", ""},
    {TextField::kProducts,
     "WITH RECURSIVE n(name) AS (SELECT min(name) FROM asset_products UNION ALL "
     "SELECT (SELECT min(name) FROM asset_products WHERE name > n.name) FROM n WHERE n.name IS NOT NULL) "
     "SELECT name FROM n WHERE name IS NOT NULL",
     "asset_products", ""},
    {TextField::kScene,
     "WITH RECURSIVE n(name) AS (SELECT min(name) FROM asset_classes WHERE field = 'scene' UNION ALL "
     "SELECT (SELECT min(name) FROM asset_classes WHERE field = 'scene' AND name > n.name) FROM n "
     "WHERE n.name IS NOT NULL) SELECT name FROM n WHERE name IS NOT NULL",
     "asset_classes", "field = 'scene' AND "},
};
// Columns that files, people and the text in pictures fill.
constexpr std::string_view kCertainColumns =
    "{name title description keyword place camera lens creator text caption person} : ";

}  // namespace

std::vector<float> Conditions::certainty(const Word& word, const IdSet& assets) {
  std::vector<float> found;
  if (has_unspaced_script(query_text(word.text))) return found;
  const Phrase phrase = phrase_of(connection_, word);
  if (phrase.tokens.empty()) return found;
  const auto* things = word.also ? std::get_if<ObjectsCondition>(&*word.also) : nullptr;
  // Of many assets the table is read as a whole: that is faster than going from its index to each row.
  const std::string_view how = assets.size() > static_cast<size_t>(end_) / 8 ? " NOT INDEXED" : "";
  for (const Findings& table : kFindings) {
    if (!is_in(table.field, word.field)) continue;
    std::vector<std::string> names = names_with(phrase, table.names);
    if (things != nullptr && &table == kFindings)
      for (const std::string& name : names_of(*things)) names.push_back(name);
    if (names.empty()) continue;
    found.resize(static_cast<size_t>(end_));
    for (auto row = connection_.query(fmt::format("SELECT asset_id, confidence FROM {}{} WHERE {}name IN "
                                                  "(SELECT value FROM json_each(?))",
                                                  table.rows, how, table.of_name),
                                      strings_json(names));
         row.next();)
      if (const AssetId id = row.integer(0); id >= 0 && id < end_) {
        float& confidence = found[static_cast<size_t>(id)];
        confidence = std::max(confidence, static_cast<float>(std::clamp(row.real(1), 0.0, 1.0)));
      }
  }
  if (found.empty()) return found;
  for (float& confidence : found)
    if (confidence == 0) confidence = 1;  // found elsewhere
  if (word.field != TextField::kAny) return found;
  const std::string expression = match_expression(connection_, word, word.prefix);
  for (auto row = connection_.query("SELECT rowid FROM asset_text WHERE asset_text MATCH ?",
                                    std::string(kCertainColumns) + expression);
       row.next();)
    if (const AssetId id = row.integer(0); id >= 0 && id < end_) found[static_cast<size_t>(id)] = 1;
  return found;
}

IdSet Conditions::matching_word(const Word& word) {
  IdSet found = matching_text(word, false);
  if (word.also) found.add(matching(*word.also));
  return found;
}

IdSet Conditions::matching_text(const TextCondition& condition, bool prefix) {
  if (condition.field == TextField::kSaid) return in_speech(condition, prefix);
  if (condition.field > TextField::kAny) return with_name(condition, prefix);
  IdSet found = in_columns(condition, prefix);
  if (condition.field == TextField::kAny) found.add(in_speech(condition, prefix));
  return found;
}

// Whether it is one character that texts say again and again, as about one in a hundred is. The index would list all
// its places; reading a text ends at the first.
bool Conditions::is_frequent_in_speech(const std::string& text) {
  if (character_count(text) != 1) return false;
  return connection_.integer(
             "SELECT avg(instr(substr(said, 1, 100), ?) > 0) > 0.5 FROM "
             "(SELECT said FROM asset_speech_trigram LIMIT 20)",
             text) != 0;
}

IdSet Conditions::in_speech(const TextCondition& condition, bool prefix) {
  if (has_unspaced_script(query_text(condition.text))) {
    const std::string text = composed_text(query_text(condition.text));
    if (is_frequent_in_speech(text))
      return ids(connection_.query("SELECT rowid FROM asset_speech_trigram WHERE said LIKE ? ESCAPE '\\'",
                                   anywhere_pattern(text)));
    // Shorter text is the beginning of trigrams (short_trigrams.h).
    const bool whole = character_count(text) >= kTrigram;
    return ids(connection_.query("SELECT rowid FROM asset_speech_trigram WHERE asset_speech_trigram MATCH ?",
                                 phrase(text) + (whole ? "" : " *")));
  }
  const std::string expression = match_expression(connection_, condition, prefix);
  if (expression.empty()) return IdSet(end_);
  return ids(connection_.query("SELECT rowid FROM asset_speech WHERE asset_speech MATCH ?", expression));
}

IdSet Conditions::in_columns(const TextCondition& condition, bool prefix) {
  if (has_unspaced_script(query_text(condition.text))) {
    const std::string text = folded_text(query_text(condition.text));
    if (character_count(text) < kTrigram)
      return ids(connection_.query(like_sql(condition.field), anywhere_pattern(text)));
    std::string expression = phrase(text);
    if (condition.field != TextField::kAny)
      expression = std::string(text_field_name(condition.field)) + " : " + expression;
    return ids(connection_.query("SELECT rowid FROM asset_trigram WHERE asset_trigram MATCH ?", expression));
  }
  const std::string expression = match_expression(connection_, condition, prefix);
  if (expression.empty()) return IdSet(end_);
  IdSet found = ids(connection_.query("SELECT rowid FROM asset_text WHERE asset_text MATCH ?", expression));
  if (condition.field != TextField::kText) return found;
  if (const std::string part = part_of_words(condition.text); !part.empty())
    found.add(ids(connection_.query("SELECT rowid FROM asset_trigram WHERE asset_trigram MATCH ?",
                                    std::string(text_field_name(condition.field)) + " : " + phrase(part))));
  return found;
}

// The last second that an asset may have been taken in: `taken` ends with the last part that is known.
#define IE_TAKEN_END                                                            \
  "CASE length(taken) WHEN 4 THEN unixepoch(taken || '-01-01', '+1 year') - 1 " \
  "WHEN 7 THEN unixepoch(taken || '-01', '+1 month') - 1 "                      \
  "WHEN 10 THEN taken_seconds + 86399 WHEN 16 THEN taken_seconds + 59 ELSE taken_seconds END"

// All that a time may be must be within the range: a photo of 1953 is none of May 1953.
IdSet Conditions::match(const TakenCondition& condition) {
  const auto from = condition.from.value_or(std::numeric_limits<std::int64_t>::min());
  const auto to = condition.to.value_or(std::numeric_limits<std::int64_t>::max());
  if (condition.absolute)
    return ids(
        connection_.query("SELECT id FROM assets WHERE taken_seconds - 60 * coalesce(taken_offset, 0) >= ? "
                          "AND " IE_TAKEN_END " - 60 * coalesce(taken_offset, 0) <= ?",
                          from, to));
  return ids(connection_.query("SELECT id FROM assets WHERE taken_seconds BETWEEN ?1 AND ?2 AND " IE_TAKEN_END " <= ?2",
                               from, to));
}

#undef IE_TAKEN_END

// The index by time answers for each year.
IdSet Conditions::match(const MonthCondition& condition) {
  using namespace std::chrono;
  IdSet found(end_);
  auto ends = connection_.query("SELECT min(taken_seconds), max(taken_seconds) FROM assets");
  if (!ends.next() || ends.is_null(0)) return found;
  const auto year_at = [](std::int64_t seconds) {
    return year_month_day(floor<days>(sys_seconds(std::chrono::seconds(seconds)))).year();
  };
  const auto begins = [](year_month month) { return sys_seconds(sys_days(month / 1)).time_since_epoch().count(); };
  const year last = year_at(ends.integer(1));
  for (year one = year_at(ends.integer(0)); one <= last; ++one) {
    const year_month asked = one / month(static_cast<unsigned>(condition.month));
    found.add(match(TakenCondition{begins(asked), begins(asked + months(1)) - 1}));
  }
  return found;
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

IdSet Conditions::counted(const ObjectsCondition& condition, std::int64_t least, std::int64_t most) {
  // Without a confidence the index by name suffices, and rows need not be read.
  const bool sure = condition.confidence > 0;
  const std::string_view surest = sure ? " AND confidence >= ?" : "";
  const std::string_view table = counted_in(condition.field).table;
  const auto rows = [&](std::string_view columns, std::string_view counts, std::string_view name,
                        const auto&... values) {
    const std::string all = fmt::format("SELECT {} FROM {} WHERE name = ?{}{}", columns, table, counts, surest);
    return sure ? connection_.query(all, name, values..., condition.confidence)
                : connection_.query(all, name, values...);
  };
  const std::set<std::string> names = names_of(condition);
  if (names.size() == 1) return ids(rows("asset_id", " AND count BETWEEN ? AND ?", *names.begin(), least, most));
  std::vector<std::int64_t> counts(static_cast<size_t>(end_));
  for (const std::string& name : names)
    for (auto row = rows("asset_id, count", "", name); row.next();)
      if (const AssetId id = row.integer(0); id >= 0 && id < end_) counts[static_cast<size_t>(id)] += row.integer(1);
  IdSet found(end_);
  for (AssetId id = 0; id < end_; ++id)
    if (const std::int64_t count = counts[static_cast<size_t>(id)]; count > 0 && count >= least && count <= most)
      found.insert(id);
  return found;
}

IdSet Conditions::match(const ObjectsCondition& condition) {
  if (condition.least > 0) return counted(condition, condition.least, condition.most);
  constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
  IdSet found = ids(connection_.query("SELECT asset_id FROM records WHERE stage = ? AND asset_id IS NOT NULL",
                                      counted_in(condition.field).stage));
  if (condition.most < kAny) found.remove(counted(condition, condition.most + 1, kAny));
  return found;
}

IdSet Conditions::match(const SubjectCondition& condition) {
  IdSet found = ids(connection_.query(
      "SELECT asset_id FROM asset_subjects WHERE name IN (SELECT value FROM json_each(?)) AND share BETWEEN ? AND ?",
      names_json(condition), condition.least, condition.most));
  if (!condition.absent) return found;
  IdSet without = ids(connection_.query("SELECT asset_id FROM records WHERE stage = ? AND asset_id IS NOT NULL",
                                        std::string_view(kSegmentationStage)));
  without.remove(found);
  return without;
}

IdSet Conditions::match(const SceneCondition& condition) {
  return ids(connection_.query("SELECT asset_id FROM asset_classes WHERE field = ? AND name = ? AND confidence >= ?",
                               text_field_name(TextField::kScene), query_text(condition.name), condition.confidence));
}

IdSet Conditions::match(const CountryCondition& condition) {
  if (condition.codes.empty())
    return ids(connection_.query(
        "SELECT id FROM assets WHERE (latitude IS NOT NULL AND longitude IS NOT NULL) OR country_code <> ''"));
  const std::string codes = strings_json(condition.codes);
  if (condition.except)
    return ids(connection_.query(
        "SELECT id FROM assets WHERE country_code <> '' AND country_code NOT IN (SELECT value FROM json_each(?))",
        codes));
  return ids(connection_.query("SELECT id FROM assets WHERE country_code IN (SELECT value FROM json_each(?))", codes));
}

IdSet Conditions::match(const TagCondition& condition) {
  IdSet found(end_);
  for (const Sign& sign : condition.signs) found.add(std::visit([&](const auto& typed) { return match(typed); }, sign));
  return found;
}

IdSet Conditions::match(const AnyCondition& condition) {
  IdSet found(end_);
  for (const std::vector<Filter>& filters : condition.alternatives) {
    std::optional<IdSet> one = required(filters);
    if (!one) one = ids(connection_.query("SELECT id FROM assets"));
    exclude(filters, *one);
    found.add(*one);
  }
  return found;
}

IdSet Conditions::match(const StateCondition& condition) {
  return ids(connection_.query("SELECT asset_id FROM files WHERE state = ?", state_name(condition.state)));
}

}  // namespace image_engine::store
