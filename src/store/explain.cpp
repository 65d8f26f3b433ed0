#include "store/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/json.h"
#include "core/text.h"
#include "store/asset_index.h"
#include "store/conditions.h"
#include "store/rows.h"

namespace image_engine::store {
namespace {

std::string counted(const std::string& name, std::int64_t count, double confidence) {
  return fmt::format("{} {:.2f}{}", name, confidence, count > 1 ? fmt::format(", {} of them", count) : "");
}

// After what the person has said.
constexpr std::string_view kOwn = " (yours)";

void add(FoundAsset& asset, std::string_view field, std::string text) {
  Why why{std::string(field), std::move(text)};
  if (std::ranges::find(asset.why, why) == asset.why.end()) asset.why.push_back(std::move(why));
}

}  // namespace

std::string excerpt(std::string_view line, size_t match) {
  constexpr size_t kBefore = 60;
  constexpr size_t kMost = 200;
  if (line.size() <= kMost) return std::string(line);
  size_t from = match > kBefore ? match - kBefore : 0;
  while (from > 0 && !begins_character(line[from])) --from;
  size_t to = std::min(line.size(), from + kMost);
  while (to < line.size() && !begins_character(line[to])) ++to;
  return (from > 0 ? "…" : "") + std::string(line.substr(from, to - from)) + (to < line.size() ? "…" : "");
}

Explainer::Explainer(Connection& connection, const AssetQuery& query, Conditions& conditions)
    : connection_(connection), conditions_(conditions), most_moments_(query.most_moments) {
  const auto add_alternative = [&](const Alternative& one) {
    for (const Word& word : one.words) {
      add_pattern(word);
      if (word.also) facts_.push_back(&*word.also);
    }
    add_filters(one.filters);
  };
  add_alternative(query);
  for (const Alternative& other : query.others) add_alternative(other);
}

void Explainer::add_pattern(const TextCondition& condition) {
  if (!known_.insert(condition).second) return;
  const bool may_be_said = condition.field == TextField::kAny || condition.field == TextField::kSaid;
  patterns_.push_back({condition.field, phrase_of(connection_, condition),
                       may_be_said ? speech_pattern(connection_, condition) : SpeechPattern()});
}

void Explainer::add_filters(const std::vector<Filter>& filters) {
  for (const Filter& filter : filters) {
    if (filter.negated) continue;
    if (const auto* text = std::get_if<TextCondition>(&filter.condition)) {
      add_pattern(*text);
    } else if (const auto* any = std::get_if<AnyCondition>(&filter.condition)) {
      for (const std::vector<Filter>& one : any->alternatives) add_filters(one);
    } else {
      facts_.push_back(&filter.condition);
    }
    if (const auto* tag = std::get_if<TagCondition>(&filter.condition))
      for (const Sign& sign : tag->signs)
        if (const auto* text = std::get_if<TextCondition>(&sign)) add_pattern(*text);
  }
}

FoundAsset Explainer::explain(AssetId id, std::span<const MomentFinding> found) {
  FoundAsset asset;
  asset.id = id;
  {
    auto row = connection_.query(
        "SELECT path, state FROM files WHERE asset_id = ? "
        "ORDER BY state IN ('missing', 'excluded'), state = 'offline', id LIMIT 1",
        id);
    if (row.next()) {
      asset.path = row.bytes(0);
      asset.state = state_from_name(row.bytes(1));
    }
  }
  if (!patterns_.empty()) explain_text(asset);
  if (!facts_.empty()) explain_facts(asset);
  explain_moments(asset, found);
  return asset;
}

namespace {

bool holds(const ObjectsCondition& condition, const MomentThing& thing) {
  const auto is_name = [&](const std::string& name) { return ascii_lower(name) == ascii_lower(thing.name); };
  return thing.field == condition.field && thing.count >= condition.least && thing.count <= condition.most &&
         thing.confidence >= condition.confidence &&
         (is_name(condition.name) || std::ranges::any_of(condition.others, is_name));
}
bool holds(const SceneCondition& condition, const MomentThing& thing) {
  return thing.field == TextField::kScene && thing.confidence >= condition.confidence &&
         ascii_lower(condition.name) == ascii_lower(thing.name);
}
template <typename Other>
bool holds(const Other&, const MomentThing&) {
  return false;  // it is of the whole asset
}
bool holds(const TagCondition& condition, const MomentThing& thing) {
  return std::ranges::any_of(condition.signs, [&](const Sign& sign) {
    return std::visit([&](const auto& one) { return holds(one, thing); }, sign);
  });
}

}  // namespace

bool Explainer::holds(const Pattern& pattern, const MomentThing& thing) {
  return is_in(thing.field, pattern.field) && has_phrase(connection_, pattern.phrase, query_text(thing.name));
}

namespace {

constexpr size_t kMostConditions = 63;  // bits; the last is for what was found otherwise

void add_matches(Query row, std::map<MomentId, MomentMatch>& matches) {
  while (row.next())
    if (const MomentKind kind = moment_kind_from(row.bytes(1)); kind != MomentKind::kScene)
      matches.try_emplace(row.integer(0), MomentMatch{.kind = kind, .from = row.real(2), .to = row.real(3)});
}

void add_matches_in(Connection& connection, AssetId asset, MomentRange range,
                    std::map<MomentId, MomentMatch>& matches) {
  add_matches(connection.query("SELECT moment, kind, from_seconds, to_seconds FROM moments "
                               "WHERE asset_id = ? AND moment BETWEEN ? AND ?",
                               asset, range.first, range.last),
              matches);
}

// Reads all moments at once. Those that the asset lacks get no entry.
void add_matches_at(Connection& connection, AssetId asset, const std::set<MomentId>& moments,
                    std::map<MomentId, MomentMatch>& matches) {
  if (moments.empty()) return;
  add_matches(connection.query("SELECT moment, kind, from_seconds, to_seconds FROM moments "
                               "WHERE asset_id = ? AND moment IN (SELECT value FROM json_each(?))",
                               asset, json_text(nlohmann::json(moments))),
              matches);
}

}  // namespace

void Explainer::explain_moments(FoundAsset& asset, std::span<const MomentFinding> found) {
  std::map<MomentId, MomentMatch> matches;
  std::set<MomentId> moments;
  for (const MomentFinding& finding : found) moments.insert(finding.moment);
  add_matches_at(connection_, asset.id, moments, matches);
  for (const MomentFinding& finding : found) {
    const auto match = matches.find(finding.moment);
    if (match == matches.end()) continue;
    match->second.conditions |= std::uint64_t{1} << kMostConditions;
    match->second.confidence += finding.relevance;
    match->second.relevance = std::max(match->second.relevance.value_or(0), finding.relevance);
    match->second.why.push_back(finding.why);
  }
  const bool only_said = facts_.empty() && std::ranges::all_of(patterns_, [](const Pattern& pattern) {
                           return pattern.field == TextField::kSaid;
                         });
  if (!only_said) match_things(asset.id, matches);
  AssetSpeech speech(connection_, asset.id);
  const std::vector<SpeechHit> firsts = match_speech(speech, matches, asset.id);
  std::vector<MomentMatch> list;
  for (auto& [moment, match] : matches) list.push_back(std::move(match));
  std::vector<MatchedTime> times = matched_times(std::move(list), most_moments_);
  quote_hits(asset, speech, times, firsts);
  for (MatchedTime& time : times) asset.moments.push_back(std::move(time.moment));
  if (asset.moments.empty()) return;
  constexpr int kToTheSecond = 19;  // characters
  auto row = connection_.query("SELECT taken, taken_offset FROM assets WHERE id = ? AND length(taken) >= ?", asset.id,
                               kToTheSecond);
  if (!row.next()) return;
  asset.taken = CaptureTime{row.bytes(0), std::nullopt};
  if (!row.is_null(1)) asset.taken->offset_minutes = static_cast<std::int32_t>(row.integer(1));
}

void Explainer::match_things(AssetId asset, std::map<MomentId, MomentMatch>& matches) {
  for (const MomentRange range : {kPictureMoments, kSoundMoments}) add_matches_in(connection_, asset, range, matches);
  if (matches.empty()) return;
  for (const MomentThing& thing : things_but_said(connection_, asset)) {
    const auto found = matches.find(thing.moment);
    if (found == matches.end()) continue;
    std::uint64_t held = 0;
    for (size_t i = 0; i < patterns_.size() && i < kMostConditions; ++i)
      if (holds(patterns_[i], thing)) held |= std::uint64_t{1} << i;
    for (size_t i = 0; i < facts_.size() && patterns_.size() + i < kMostConditions; ++i)
      if (std::visit([&](const auto& condition) { return store::holds(condition, thing); }, *facts_[i]))
        held |= std::uint64_t{1} << (patterns_.size() + i);
    if (held == 0) continue;
    found->second.conditions |= held;
    found->second.confidence += thing.confidence;
    found->second.why.push_back(
        {std::string(text_field_name(thing.field)), counted(thing.name, thing.count, thing.confidence)});
  }
}

// Returns the first hit of each pattern.
std::vector<SpeechHit> Explainer::match_speech(AssetSpeech& speech, std::map<MomentId, MomentMatch>& matches,
                                               AssetId asset) {
  struct Spoken {
    SpeechHit hit;
    MomentId first = 0, last = 0;  // the moments at which it begins and ends
    double until = 0;
  };
  std::vector<SpeechHit> firsts;
  std::vector<Spoken> spoken;
  std::set<MomentId> beginnings, moments;
  const bool alone = matches.empty() && patterns_.size() == 1;  // then the first hits are the result
  for (size_t i = 0; i < patterns_.size() && i < kMostConditions; ++i) {
    const std::vector<SpeechHit> hits = speech.find(patterns_[i].speech, i);
    if (!hits.empty()) firsts.push_back(hits.front());
    for (const SpeechHit& hit : hits) {
      if (alone && beginnings.size() > most_moments_) break;
      spoken.push_back({hit, speech.first_moment(hit), speech.last_moment(hit)});
      beginnings.insert(spoken.back().first);
      moments.insert({spoken.back().first, spoken.back().last});
    }
  }
  add_matches_at(connection_, asset, moments, matches);
  for (Spoken& said : spoken)
    if (const auto last = matches.find(said.last); last != matches.end()) said.until = last->second.to;
  for (const Spoken& said : spoken) {
    const auto match = matches.find(said.first);
    if (match == matches.end()) continue;
    MomentMatch& at = match->second;
    at.kind = MomentKind::kSpeech;
    at.conditions |= std::uint64_t{1} << said.hit.pattern;
    at.confidence = std::max(at.confidence, 1.0);
    at.to = std::max(at.to, said.until);
    at.hits.push_back(said.hit);
  }
  return firsts;
}

// Each of the patterns that are said: at each time its first place there, and in the asset's own `why` the first of
// them.
void Explainer::quote_hits(FoundAsset& asset, AssetSpeech& speech, std::vector<MatchedTime>& times,
                           std::span<const SpeechHit> firsts) {
  const auto why_of = [](const SpeechQuote& quote) {
    return Why{std::string(text_field_name(TextField::kSaid)),
               clock_text(std::floor(std::min(quote.at, 1e9))) + " " + quote.text};
  };
  std::uint64_t quoted = 0;
  for (MatchedTime& time : times) {
    std::uint64_t here = 0;
    std::vector<Why> whys;
    std::optional<double> at;
    for (const SpeechHit& hit : time.hits) {
      const std::uint64_t bit = std::uint64_t{1} << hit.pattern;
      if ((here & bit) != 0) continue;
      here |= bit;
      const SpeechQuote quote = speech.quote(hit);
      at = std::min(at.value_or(quote.at), quote.at);
      const Why why = why_of(quote);
      if (std::ranges::find(whys, why) == whys.end()) whys.push_back(why);
      if ((quoted & bit) == 0) add(asset, why.field, why.text);
      quoted |= bit;
    }
    if (at) time.moment.at = *at;
    time.moment.why.insert(time.moment.why.begin(), whys.begin(), whys.end());
  }
  // Those that are said at none of the times that are reported.
  for (const SpeechHit& hit : firsts)
    if ((quoted >> hit.pattern & 1) == 0) {
      const Why why = why_of(speech.quote(hit));
      add(asset, why.field, why.text);
    }
}

void Explainer::explain_text(FoundAsset& asset) {
  static const std::string kSql = "SELECT " + text_columns() + " FROM asset_text WHERE rowid = ?";
  auto row = connection_.query(kSql, asset.id);
  if (!row.next()) return;
  for (size_t i = 0; i < kTextFields; ++i) {
    const std::string text = row.bytes(static_cast<int>(i));
    std::string_view before;
    for (size_t from = 0; from < text.size();) {
      const size_t to = std::min(text.find('\n', from), text.size());
      const std::string_view line = std::string_view(text).substr(from, to - from);
      explain_line(line, static_cast<TextField>(i), line.starts_with(' ') ? before : line, asset);
      before = line;
      from = to + 1;
    }
  }
}

void Explainer::explain_line(std::string_view line, TextField field, std::string_view shown, FoundAsset& asset) {
  const auto tokens = tokens_of(connection_, line);
  for (const Pattern& pattern : patterns_) {
    if (column_of(pattern.field) != TextField::kAny && column_of(pattern.field) != field) continue;
    const size_t match = find_phrase(pattern.phrase, line, tokens);
    if (match == std::string::npos) continue;
    Why why{std::string(text_field_name(field)), excerpt(shown, std::min(match, shown.size()))};
    if (field == TextField::kObjects || field == TextField::kProducts) why.text = counted_text(asset.id, field, line);
    const bool own = is_own(asset.id, field, line);
    if (own) why.text += kOwn;
    if (!own && (field == TextField::kScene || field == TextField::kKeywords)) {
      std::optional<Why> known = class_why(asset.id, field, pattern.field, line);
      if (!known && pattern.field > TextField::kAny) continue;
      if (known) why = std::move(*known);
    }
    add(asset, why.field, std::move(why.text));
    return;
  }
}

bool Explainer::is_own(AssetId asset, TextField field, std::string_view line) {
  if (field != TextField::kKeywords && field != TextField::kTitle) return false;
  const std::string_view sql = field == TextField::kTitle
                                   ? "SELECT EXISTS(SELECT 1 FROM user_titles WHERE title = ?2 AND asset_hash = "
                                     "(SELECT hash FROM assets WHERE id = ?1))"
                                   : "SELECT EXISTS(SELECT 1 FROM labels WHERE label = ?2 AND asset_hash = "
                                     "(SELECT hash FROM assets WHERE id = ?1))";
  return connection_.integer(sql, asset, line) != 0;
}

std::string Explainer::counted_text(AssetId asset, TextField field, std::string_view name) {
  auto row = connection_.query(
      fmt::format("SELECT name, count, confidence FROM {} WHERE asset_id = ? AND name = ?", counted_in(field).table),
      asset, query_text(name));
  return row.next() ? counted(row.bytes(0), row.integer(1), row.real(2)) : std::string(name);
}

std::optional<Why> Explainer::class_why(AssetId asset, TextField column, TextField wanted, std::string_view name) {
  auto row = connection_.query(
      "SELECT name, confidence, field FROM asset_classes WHERE asset_id = ? AND name = ? ORDER BY field DESC", asset,
      query_text(name));
  while (row.next())
    if (const TextField field = field_from_name(row.bytes(2)); column_of(field) == column && is_in(field, wanted))
      return Why{row.bytes(2), fmt::format("{} {:.2f}", row.bytes(0), row.real(1))};
  return std::nullopt;
}

std::vector<Why> Explainer::objects_why(AssetId asset, const ObjectsCondition& condition) {
  std::vector<Why> whys;
  std::int64_t count = 0;
  auto row = connection_.query(
      fmt::format("SELECT name, count, confidence FROM {} WHERE asset_id = ? "
                  "AND name IN (SELECT value FROM json_each(?)) AND confidence >= ? ORDER BY confidence DESC, name",
                  counted_in(condition.field).table),
      asset, names_json(condition), condition.confidence);
  while (row.next()) {
    count += row.integer(1);
    whys.push_back({std::string(text_field_name(condition.field)), counted(row.bytes(0), row.integer(1), row.real(2))});
  }
  if (count < condition.least || count > condition.most) whys.clear();
  return whys;
}

std::vector<Why> Explainer::subject_why(AssetId asset, const SubjectCondition& condition) {
  constexpr char kField[] = "subject";
  if (condition.absent) return {{kField, "no " + condition.names.front()}};
  std::vector<Why> whys;
  auto row = connection_.query(
      "SELECT name, share FROM asset_subjects WHERE asset_id = ? AND name IN "
      "(SELECT value FROM json_each(?)) AND share BETWEEN ? AND ? ORDER BY share DESC, name",
      asset, names_json(condition), condition.least, condition.most);
  while (row.next()) whys.push_back({kField, fmt::format("{} {:.1f} %", row.bytes(0), 100 * row.real(1))});
  return whys;
}

std::vector<Why> Explainer::sign_why(AssetId asset, const Sign& sign) {
  if (const auto* objects = std::get_if<ObjectsCondition>(&sign)) return objects_why(asset, *objects);
  if (const auto* scene = std::get_if<SceneCondition>(&sign)) {
    auto row = connection_.query(
        "SELECT name, confidence FROM asset_classes WHERE asset_id = ? AND field = ? AND name = ? AND confidence >= ?",
        asset, text_field_name(TextField::kScene), query_text(scene->name), scene->confidence);
    if (!row.next()) return {};
    return {{std::string(text_field_name(TextField::kScene)), fmt::format("{} {:.2f}", row.bytes(0), row.real(1))}};
  }
  if (const auto* country = std::get_if<CountryCondition>(&sign)) {
    auto row = connection_.query("SELECT country, country_code, latitude, longitude FROM assets WHERE id = ?", asset);
    if (!row.next()) return {};
    const std::string code = row.bytes(1);
    const bool is_listed = std::ranges::find(country->codes, code) != country->codes.end();
    const bool placed = !code.empty() || (!row.is_null(2) && !row.is_null(3));
    if (country->codes.empty() ? !placed : code.empty() || is_listed == country->except) return {};
    if (code.empty()) return {{"position", fmt::format("{:.3f}, {:.3f}", row.real(2), row.real(3))}};
    const std::string name = row.bytes(0);
    return {{std::string(text_field_name(TextField::kPlace)), name.empty() ? code : name}};
  }
  return {};  // explain_text explains text
}

// What is known of it, with the time zone; and where it is from, unless that is when it was taken.
std::string Explainer::taken_text(AssetId asset, const std::string& known_local) {
  for (auto row = connection_.query("SELECT r.data FROM files f JOIN records r ON r.file_id = f.id "
                                    "AND r.stage = 'metadata' WHERE f.asset_id = ? ORDER BY f.id",
                                    asset);
       row.next();) {
    const std::optional<FileFacts> facts = facts_from_json(row.bytes(0));
    if (!facts || !facts->metadata.taken || facts->metadata.taken->known_local() != known_local) continue;
    const CaptureTime& taken = *facts->metadata.taken;
    return taken.known_iso() +
           (taken.source == TimeSource::kOriginal ? "" : fmt::format(" ({})", source_name(taken.source)));
  }
  return known_local;
}

void Explainer::explain_facts(FoundAsset& asset) {
  auto row = connection_.query(
      "SELECT taken, rating, latitude, longitude, format, kind, "
      "EXISTS(SELECT 1 FROM user_ratings WHERE asset_hash = hash) FROM assets WHERE id = ?",
      asset.id);
  if (!row.next()) return;
  for (const Condition* fact : facts_) {
    const Condition& condition = *fact;
    if (!conditions_.holds(condition, asset.id)) continue;
    if (is_on_time(condition)) add(asset, "taken", taken_text(asset.id, row.bytes(0)));
    if (std::holds_alternative<RatingCondition>(condition))
      add(asset, "rating", row.bytes(1) + std::string(row.integer(6) != 0 ? kOwn : ""));
    if (const auto* near = std::get_if<NearCondition>(&condition))
      add(asset, "near",
          fmt::format("{:.1f} km", distance_km(near->latitude, near->longitude, row.real(2), row.real(3))));
    if (std::holds_alternative<PathCondition>(condition)) add(asset, "path", to_utf8(asset.path));
    if (const auto* type = std::get_if<TypeCondition>(&condition))
      add(asset, "type", row.bytes(type->formats.empty() ? 5 : 4));
    if (const auto* objects = std::get_if<ObjectsCondition>(&condition)) {
      const std::vector<Why> whys = objects_why(asset.id, *objects);
      for (const Why& why : whys) add(asset, why.field, why.text);
      if (whys.empty()) add(asset, text_field_name(objects->field), "no " + objects->name);
    }
    if (const auto* subject = std::get_if<SubjectCondition>(&condition))
      for (const Why& why : subject_why(asset.id, *subject)) add(asset, why.field, why.text);
    if (const auto* tag = std::get_if<TagCondition>(&condition))
      for (const Sign& sign : tag->signs)
        for (const Why& why : sign_why(asset.id, sign))
          add(asset, "tag", fmt::format("{} ({}: {})", tag->tag, why.field, why.text));
    if (std::holds_alternative<StateCondition>(condition)) add(asset, "state", std::string(state_name(asset.state)));
  }
}

}  // namespace image_engine::store
