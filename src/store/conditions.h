// The assets that meet one condition.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/asset_query.h"
#include "store/id_set.h"
#include "store/phrase.h"
#include "store/sql.h"

namespace image_engine::store {

class Conditions {
 public:
  Conditions(Connection& connection, AssetId end) : connection_(connection), end_(end) {}
  // Computed once for each condition, which must not move meanwhile.
  const IdSet& matching(const Condition& condition);
  // Whether it holds for the asset; also of a condition within another.
  bool holds(const Condition& condition, AssetId asset) { return matching(condition).contains(asset); }
  // Assets of which all filters hold that are not negated; nullopt without such a filter. The negated ones are
  // exclude()'s. `with_times`: conditions on the time count.
  std::optional<IdSet> required(const std::vector<Filter>& filters, bool with_times = true);
  void exclude(const std::vector<Filter>& filters, IdSet& from);
  // Assets with the text; with `prefix`, also with longer words that it begins.
  IdSet matching_text(const TextCondition& condition, bool prefix);
  // Assets that have the word itself, or what else it means.
  IdSet matching_word(const Word& word);
  // How sure it is that the assets, which match the word or its beginning, have it, by id: 1, or the confidence of the
  // surest finding where only models have found it, 0…1. Empty: all are certain.
  std::vector<float> certainty(const Word& word, const IdSet& assets);

 private:
  IdSet match(const TextCondition& condition) { return matching_text(condition, condition.prefix); }
  IdSet match(const TakenCondition& condition);
  IdSet match(const MonthCondition& condition);
  IdSet match(const RatingCondition& condition);
  IdSet match(const NearCondition& condition);
  IdSet match(const PathCondition& condition);
  IdSet match(const TypeCondition& condition);
  IdSet match(const StateCondition& condition);
  IdSet match(const ObjectsCondition& condition);
  IdSet match(const SubjectCondition& condition);
  IdSet match(const SceneCondition& condition);
  IdSet match(const CountryCondition& condition);
  IdSet match(const TagCondition& condition);
  IdSet match(const AnyCondition& condition);
  // Those with `least` (more than 0) to `most` such objects.
  IdSet counted(const ObjectsCondition& condition, std::int64_t least, std::int64_t most);
  IdSet with_name(const TextCondition& condition, bool prefix);
  IdSet in_columns(const TextCondition& condition, bool prefix);
  bool is_frequent_in_speech(const std::string& text);
  IdSet in_speech(const TextCondition& condition, bool prefix);
  // The names of a table's things that have the phrase.
  std::vector<std::string> names_with(const Phrase& phrase, std::string_view distinct_names);
  IdSet ids(Query row) const;

  Connection& connection_;
  AssetId end_;
  std::unordered_map<const Condition*, IdSet> known_;
};

// Whether it is a condition on the time that an asset was taken at.
bool is_on_time(const Condition& condition);
// User text as it is passed to SQLite: valid UTF-8 without NUL.
std::string query_text(std::string_view text);
// Text to look for inside words, folded; empty where it is shorter than the index of trigrams can find.
std::string part_of_words(std::string_view text);
// The FTS5 expression for the condition: one quoted string, so that no input is a syntax error. Empty when the text has
// no token.
std::string match_expression(Connection& connection, const TextCondition& condition, bool prefix);
// The JSON array of the names that the condition is about, for json_each.
std::string names_json(const ObjectsCondition& condition);
std::string names_json(const SubjectCondition& condition);
// Kilometres between two positions on the sphere of Earth's mean radius, 6371.0088 km (IUGG).
double distance_km(double latitude1, double longitude1, double latitude2, double longitude2);

}  // namespace image_engine::store
