#include "store/asset_finder.h"

#include <algorithm>
#include <unordered_map>

#include "store/asset_index.h"
#include "store/explain.h"
#include "store/rows.h"

namespace image_engine::store {
namespace {

// Ids are given from 1 on; more than this is a damaged catalogue, not a library.
constexpr AssetId kMostAssets = AssetId{1} << 27;

// A word found in more of the assets than this has an inverse document frequency near nothing: bm25 would cost much and
// say little.
size_t tells_apart(AssetId end) { return std::max<size_t>(1000, static_cast<size_t>(end) / 20); }

// bm25 weights by TextField: what a person wrote or a stage named weighs more than what a machine numbered.
constexpr std::string_view kRelevanceSql =
    "SELECT rowid, -bm25(asset_text, 4, 8, 3, 8, 4, 2, 1, 2, 6, 5, 3, 4, 8) FROM asset_text WHERE asset_text MATCH ?";

// Below this many, each asset's time is looked up; above, the index of times is walked.
constexpr size_t kFewEquals = 2000;

bool asks_for_state(const AssetQuery& query) {
  return std::ranges::any_of(query.filters, [](const Filter& filter) {
    return std::holds_alternative<StateCondition>(filter.condition) && !filter.negated;
  });
}

// In [0, 1], falling with the rank: the share of matched words, in whose last step whole words and bm25 count.
double score(std::uint32_t tier, float relevance, float most, size_t words) {
  if (words == 0) return 1;
  const double matched = tier >> 8;
  const double whole = tier & 0xff;
  const double within = most > 0 ? relevance / most : 0;
  const double step = 0.5 + 0.5 * (whole + within) / (static_cast<double>(words) + 1);
  return (matched - 1 + step) / static_cast<double>(words);
}

}  // namespace

IdSet AssetFinder::allowed(const AssetQuery& query, Conditions& conditions) {
  IdSet result(end_);
  bool restricted = false;
  for (const Filter& filter : query.filters) {
    if (filter.negated) continue;
    const IdSet set = conditions.matching(filter.condition);
    restricted ? result.keep(set) : result.add(set);
    restricted = true;
  }
  // Words only find assets that are there; without them all is listed.
  if (!restricted && !query.words.empty()) result.insert_all();
  if (!restricted && query.words.empty())
    for (auto row = connection_.query("SELECT id FROM assets"); row.next();) result.insert(row.integer(0));
  for (const Filter& filter : query.filters)
    if (filter.negated) result.remove(conditions.matching(filter.condition));
  const bool all = query.include_missing || asks_for_state(query);
  const std::string_view hidden =
      all ? "SELECT id FROM assets WHERE shown = 0 AND NOT EXISTS(SELECT 1 FROM files WHERE asset_id = assets.id)"
          : "SELECT id FROM assets WHERE shown = 0";
  IdSet unseen(end_);
  for (auto row = connection_.query(hidden); row.next();) unseen.insert(row.integer(0));
  result.remove(unseen);
  return result;
}

void AssetFinder::add_relevance(const std::string& expression, std::vector<float>& relevance) {
  for (auto row = connection_.query(kRelevanceSql, expression); row.next();)
    if (const AssetId id = row.integer(0); id >= 0 && id < end_)
      relevance[static_cast<size_t>(id)] = static_cast<float>(row.real(1));
}

std::vector<AssetFinder::Ranked> AssetFinder::match_words(const AssetQuery& query, const IdSet& allowed,
                                                          Conditions& conditions) {
  std::vector<std::uint32_t> tier(static_cast<size_t>(end_));
  IdSet matched(end_);
  std::string telling;
  for (const TextCondition& word : query.words) {
    IdSet whole = conditions.matching_text(word, false);
    whole.for_each([&](AssetId id) { tier[static_cast<size_t>(id)] += 1; });
    const size_t count = whole.size();
    const bool everywhere = count + 1 >= static_cast<size_t>(end_);
    if (word.prefix && !everywhere) whole.add(conditions.matching_text(word, true));
    whole.for_each([&](AssetId id) { tier[static_cast<size_t>(id)] += 1U << 8; });
    matched.add(whole);
    if (has_unspaced_script(query_text(word.text)) || whole.size() > tells_apart(end_)) continue;
    if (const std::string expression = match_expression(connection_, word, word.prefix); !expression.empty())
      telling += (telling.empty() ? "(" : " OR (") + expression + ")";
  }
  std::vector<float> relevance(static_cast<size_t>(telling.empty() ? 0 : end_));
  if (!telling.empty()) add_relevance(telling, relevance);
  matched.keep(allowed);
  std::vector<Ranked> ranked;
  ranked.reserve(matched.size());
  matched.for_each([&](AssetId id) {
    const auto i = static_cast<size_t>(id);
    ranked.push_back({id, tier[i], relevance.empty() ? 0 : std::max(0.0F, relevance[i])});
  });
  return ranked;
}

std::vector<AssetId> AssetFinder::newest(const std::vector<Ranked>& equals, size_t count) {
  std::vector<AssetId> result;
  if (equals.size() <= kFewEquals) {
    std::vector<std::pair<std::int64_t, AssetId>> times;
    for (const Ranked& item : equals)
      times.emplace_back(
          connection_.integer("SELECT coalesce(taken_seconds, -9223372036854775807) FROM assets WHERE id = ?", item.id),
          item.id);
    std::ranges::sort(times, std::greater<>());
    for (size_t i = 0; i < std::min(count, times.size()); ++i) result.push_back(times[i].second);
    return result;
  }
  IdSet wanted(end_);
  for (const Ranked& item : equals) wanted.insert(item.id);
  auto row = connection_.query("SELECT id FROM assets ORDER BY taken_seconds DESC, id DESC");
  while (result.size() < count && row.next())
    if (const AssetId id = row.integer(0); wanted.contains(id)) result.push_back(id);
  return result;
}

std::vector<AssetFinder::Ranked> AssetFinder::best(std::vector<Ranked> ranked, size_t count) {
  count = std::min(count, ranked.size());
  if (count == 0) return {};
  const auto better = [](const Ranked& a, const Ranked& b) {
    return a.tier != b.tier ? a.tier > b.tier : a.relevance > b.relevance;
  };
  const auto cut = ranked.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(ranked.begin(), cut - 1, ranked.end(), better);
  const Ranked last = *(cut - 1);
  // Whatever equals the last is a candidate too; the newest of those come in.
  const auto end = std::partition(cut, ranked.end(), [&](const Ranked& item) { return !better(last, item); });
  ranked.erase(end, ranked.end());
  std::sort(ranked.begin(), ranked.end(), better);
  std::vector<Ranked> result;
  for (auto from = ranked.begin(); from != ranked.end() && result.size() < count;) {
    const auto to = std::find_if(from, ranked.end(), [&](const Ranked& item) { return better(*from, item); });
    for (const AssetId id : newest({from, to}, count - result.size()))
      result.push_back({id, from->tier, from->relevance});
    from = to;
  }
  return result;
}

FoundAssets AssetFinder::find(const AssetQuery& query) {
  if (query.words.size() > kMostWords || query.filters.size() > kMostWords)
    raise(ErrorCode::kInvalidArgument, "a search has at most " + std::to_string(kMostWords) + " words and fields");
  const Snapshot snapshot(connection_);
  end_ = connection_.integer("SELECT max(id) FROM assets") + 1;
  if (end_ > kMostAssets) raise(ErrorCode::kCorrupt, "the catalogue's asset numbers are damaged: restore a backup");
  Conditions conditions(connection_, end_);
  const IdSet candidates = allowed(query, conditions);
  std::vector<Ranked> ranked;
  if (query.words.empty())
    candidates.for_each([&](AssetId id) { ranked.push_back({id, 0, 0}); });
  else
    ranked = match_words(query, candidates, conditions);

  FoundAssets found;
  found.total = ranked.size();
  float most = 0;
  for (const Ranked& item : ranked) most = std::max(most, item.relevance);
  const size_t offset = std::min(query.offset, ranked.size());
  const auto top = best(std::move(ranked), offset + std::min(query.limit, static_cast<size_t>(found.total) - offset));
  Explainer explainer(connection_, query);
  for (size_t i = offset; i < top.size(); ++i) {
    FoundAsset asset = explainer.explain(top[i].id);
    asset.score = score(top[i].tier, top[i].relevance, most, query.words.size());
    found.assets.push_back(std::move(asset));
  }
  return found;
}

}  // namespace image_engine::store
