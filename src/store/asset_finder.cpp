#include "store/asset_finder.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "store/asset_index.h"
#include "store/catalogue.h"
#include "store/explain.h"
#include "store/rows.h"

namespace image_engine::store {
namespace {

// Ids count from 1; a larger one means a damaged catalogue.
constexpr AssetId kMostAssets = AssetId{1} << kAssetBits;

[[noreturn]] void raise_damaged() {
  raise(ErrorCode::kCorrupt, "the catalogue's asset numbers are damaged: restore a backup");
}

// A word in more of the assets than this has an inverse document frequency near zero: bm25 would cost much and change
// little.
size_t tells_apart(AssetId end) { return std::max<size_t>(1000, static_cast<size_t>(end) / 20); }

// bm25 weights by TextField: text from a person or a stage weighs more than generated names.
constexpr std::string_view kBm25Sql =
    "SELECT rowid, -bm25(asset_text, 4, 8, 3, 8, 4, 2, 1, 2, 6, 5, 3, 4, 8, 6) FROM asset_text WHERE asset_text MATCH "
    "?";
// One mention in a long talk weighs less than a word of the text index.
constexpr std::string_view kSpeechBm25Sql =
    "SELECT rowid, -0.5 * bm25(asset_speech) FROM asset_speech WHERE asset_speech MATCH ?";

// Up to this many, reads each asset's time; above, walks the index of times.
constexpr size_t kFewEquals = 2000;

bool asks_for_state(const std::vector<Filter>& filters) {
  return std::ranges::any_of(filters, [](const Filter& filter) {
    if (filter.negated) return false;
    const auto* any = std::get_if<AnyCondition>(&filter.condition);
    return std::holds_alternative<StateCondition>(filter.condition) ||
           (any != nullptr && std::ranges::any_of(any->alternatives, asks_for_state));
  });
}

void require_few(const Alternative& query) {
  if (query.words.size() > kMostWords || query.filters.size() > kMostWords)
    raise(ErrorCode::kInvalidArgument, "a search has at most " + std::to_string(kMostWords) + " words and fields");
}

// A word that is only the beginning of what was found is half as certain.
constexpr float kBeginning = 0.5F;

// In (0, 1], falling with the number of matched words, then their certainty, within a hundredth of which bm25 decides:
// the share of the words that were found, the last of them as certain as they are on average. That of one word is its
// certainty.
double score(std::uint32_t matched, float certainty, float bm25, float most, size_t words) {
  if (words == 0) return 1;
  constexpr double kOfBm25 = 0.01;
  const double last = certainty * (most > 0 ? 1 - kOfBm25 * (1 - bm25 / most) : 1);
  return (matched - 1 + last) / static_cast<double>(words);
}

}  // namespace

IdSet AssetFinder::hidden(const AssetQuery& query) {
  const bool all = query.include_missing || asks_for_state(query.filters) ||
                   std::ranges::any_of(query.others, asks_for_state, &Alternative::filters);
  const std::string_view sql =
      all ? "SELECT id FROM assets WHERE shown = 0 AND NOT EXISTS(SELECT 1 FROM files WHERE asset_id = assets.id)"
          : "SELECT id FROM assets WHERE shown = 0";
  IdSet found(end_);
  for (auto row = connection_.query(sql); row.next();) found.insert(row.integer(0));
  return found;
}

IdSet AssetFinder::allowed(const Alternative& query, const IdSet& hidden, Conditions& conditions) {
  std::optional<IdSet> result = conditions.required(query.filters);
  if (!result) {
    result = IdSet(end_);
    // Words only find existing assets; without words, or for findings, all are listed.
    if (!query.words.empty() && !query.more)
      result->insert_all();
    else
      for (auto row = connection_.query("SELECT id FROM assets"); row.next();) result->insert(row.integer(0));
  }
  conditions.exclude(query.filters, *result);
  result->remove(hidden);
  return std::move(*result);
}

IdSet AssetFinder::without_date(const Alternative& query, const IdSet& hidden, Conditions& conditions) {
  IdSet found(end_);
  const bool asks = std::ranges::any_of(
      query.filters, [](const Filter& filter) { return !filter.negated && is_on_time(filter.condition); });
  if (!asks) return found;
  for (auto row = connection_.query("SELECT id FROM assets WHERE taken_seconds IS NULL"); row.next();)
    found.insert(row.integer(0));
  if (const auto required = conditions.required(query.filters, false)) found.keep(*required);
  conditions.exclude(query.filters, found);
  found.remove(hidden);
  return found;
}

void AssetFinder::add_bm25(std::string_view sql, const std::string& expression, std::vector<float>& bm25) {
  if (expression.empty()) return;
  bm25.resize(static_cast<size_t>(end_));
  for (auto row = connection_.query(sql, expression); row.next();)
    if (const AssetId id = row.integer(0); id >= 0 && id < end_)
      bm25[static_cast<size_t>(id)] += static_cast<float>(row.real(1));
}

std::vector<AssetFinder::Ranked> AssetFinder::match_words(const Alternative& query, const IdSet& allowed,
                                                          Conditions& conditions, IdSet& undated) {
  std::vector<std::uint32_t> words(static_cast<size_t>(end_));  // that an asset matches
  std::vector<float> certainty(static_cast<size_t>(end_));      // of all of them
  IdSet matched(end_);
  std::string telling, telling_said;  // of the text index, and of speech: each knows only its own columns
  for (const Word& word : query.words) {
    const IdSet whole = conditions.matching_word(word);
    IdSet found = whole;
    const bool everywhere = whole.size() + 1 >= static_cast<size_t>(end_);
    if (word.prefix && !everywhere) found.add(conditions.matching_text(word, true));
    matched.add(found);
    const std::vector<float> sure = conditions.certainty(word, found);
    found.for_each([&](AssetId id) {
      const auto i = static_cast<size_t>(id);
      ++words[i];
      certainty[i] += (whole.contains(id) ? 1 : kBeginning) * (sure.empty() ? 1 : sure[i]);
    });
    if (has_unspaced_script(query_text(word.text)) || found.size() > tells_apart(end_)) continue;
    const std::string expression = match_expression(connection_, word, word.prefix);
    if (expression.empty()) continue;
    if (word.field <= TextField::kAny) telling += (telling.empty() ? "(" : " OR (") + expression + ")";
    if (word.field == TextField::kAny || word.field == TextField::kSaid)
      telling_said += (telling_said.empty() ? "(" : " OR (") + expression + ")";
  }
  std::vector<float> bm25;
  add_bm25(kBm25Sql, telling, bm25);
  add_bm25(kSpeechBm25Sql, telling_said, bm25);
  undated.keep(matched);
  matched.keep(allowed);
  std::vector<Ranked> ranked;
  ranked.reserve(matched.size());
  matched.for_each([&](AssetId id) {
    const auto i = static_cast<size_t>(id);
    ranked.push_back(
        {id, words[i], certainty[i] / static_cast<float>(words[i]), bm25.empty() ? 0 : std::max(0.0F, bm25[i])});
  });
  return ranked;
}

std::vector<AssetFinder::Ranked> AssetFinder::join(std::vector<Ranked> ranked, const Findings& findings,
                                                   size_t words) const {
  double best_of_others = 0;
  const auto has_all = [&](const Ranked& item) { return words > 0 && item.words == words; };
  IdSet by_words(end_);
  for (Ranked& item : ranked) {
    by_words.insert(item.id);
    const auto found = findings.find(item.id);
    const double relevance = found == findings.end() ? 0 : found->second.best.relevance;
    item.score = 1 - (1 - item.score) * (1 - relevance);
    if (!has_all(item)) best_of_others = std::max(best_of_others, item.score);
  }
  for (const auto& [id, finding] : findings) {
    if (by_words.contains(id)) continue;
    ranked.push_back({id, 0, 0, 0, finding.best.relevance});
    best_of_others = std::max(best_of_others, finding.best.relevance);
  }
  // An asset with all words scores at least as high as the best one without.
  for (Ranked& item : ranked)
    if (has_all(item)) item.score = std::max(item.score, best_of_others);
  return ranked;
}

AssetFinder::Findings AssetFinder::ask_more(const Alternative& query, const IdSet& allowed) const {
  Findings findings;
  if (!query.more) return findings;
  Result<std::vector<Relevant>> found = query.more(allowed);
  if (!found) raise(found.error().code, found.error().message);
  for (Relevant& finding : *found) {
    if (!allowed.contains(finding.asset) || std::isnan(finding.relevance)) continue;
    finding.relevance = std::clamp(finding.relevance, 0.0, 1.0);
    const auto [entry, is_new] = findings.try_emplace(finding.asset);
    if (finding.moment != 0) entry->second.moments.push_back({finding.moment, finding.relevance, finding.why});
    if (is_new || finding.relevance > entry->second.best.relevance) entry->second.best = std::move(finding);
  }
  return findings;
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
    return std::tie(a.score, a.words, a.certainty, a.bm25) > std::tie(b.score, b.words, b.certainty, b.bm25);
  };
  const auto cut = ranked.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(ranked.begin(), cut - 1, ranked.end(), better);
  const Ranked last = *(cut - 1);
  // Assets equal to the last one are candidates, too; the newest of them are taken.
  const auto end = std::partition(cut, ranked.end(), [&](const Ranked& item) { return !better(last, item); });
  ranked.erase(end, ranked.end());
  const auto equals =
      std::partition(ranked.begin(), ranked.end(), [&](const Ranked& item) { return better(item, last); });
  std::sort(ranked.begin(), equals, better);
  std::vector<Ranked> result;
  for (auto from = ranked.begin(); from != ranked.end() && result.size() < count;) {
    const auto to = std::find_if(from, ranked.end(), [&](const Ranked& item) { return better(*from, item); });
    for (const AssetId id : newest({from, to}, count - result.size()))
      result.push_back({id, from->words, from->certainty, from->bm25, from->score});
    from = to;
  }
  return result;
}

std::vector<AssetFinder::Ranked> AssetFinder::find_one(const Alternative& query, const IdSet& hidden,
                                                       Conditions& conditions, Findings& all) {
  const IdSet candidates = allowed(query, hidden, conditions);
  IdSet undated = without_date(query, hidden, conditions);
  Findings findings = ask_more(query, candidates);
  std::vector<Ranked> ranked;
  if (!query.words.empty())
    ranked = match_words(query, candidates, conditions, undated);
  else if (!query.more)
    candidates.for_each([&](AssetId id) { ranked.push_back({.id = id}); });
  undated_.add(undated);
  float most = 0;
  for (const Ranked& item : ranked) most = std::max(most, item.bm25);
  for (Ranked& item : ranked) item.score = score(item.words, item.certainty, item.bm25, most, query.words.size());
  if (!findings.empty()) ranked = join(std::move(ranked), findings, query.words.size());
  for (auto& [id, finding] : findings) {
    const auto [entry, is_new] = all.try_emplace(id);
    std::ranges::move(finding.moments, std::back_inserter(entry->second.moments));
    if (is_new || finding.best.relevance > entry->second.best.relevance) entry->second.best = std::move(finding.best);
  }
  return ranked;
}

std::vector<AssetFinder::Ranked> AssetFinder::find_all(const AssetQuery& query, Conditions& conditions,
                                                       Findings& findings) {
  const IdSet unlisted = hidden(query);
  std::vector<Ranked> all = find_one(query, unlisted, conditions, findings);
  if (query.others.empty()) return all;
  std::vector<std::uint32_t> places(static_cast<size_t>(end_));  // in `all`, from 1
  for (size_t i = 0; i < all.size(); ++i) places[static_cast<size_t>(all[i].id)] = static_cast<std::uint32_t>(i + 1);
  for (const Alternative& other : query.others)
    for (const Ranked& item : find_one(other, unlisted, conditions, findings)) {
      std::uint32_t& place = places[static_cast<size_t>(item.id)];
      if (place == 0) {
        all.push_back(item);
        place = static_cast<std::uint32_t>(all.size());
      } else if (item.score > all[place - 1].score) {
        all[place - 1] = item;
      }
    }
  return all;
}

FoundAssets AssetFinder::find(const AssetQuery& query) {
  require_few(query);
  for (const Alternative& other : query.others) require_few(other);
  if (query.others.size() >= kMostAlternatives)
    raise(ErrorCode::kInvalidArgument, "a search has at most " + std::to_string(kMostAlternatives) + " alternatives");
  const Snapshot snapshot(connection_);
  end_ = connection_.integer("SELECT max(id) FROM assets") + 1;
  if (end_ > kMostAssets) raise_damaged();
  Conditions conditions(connection_, end_);
  undated_ = IdSet(end_);
  Findings findings;
  std::vector<Ranked> ranked = find_all(query, conditions, findings);

  FoundAssets found;
  found.total = ranked.size();
  found.without_date = undated_.size();
  const size_t offset = std::min(query.offset, ranked.size());
  const auto top = best(std::move(ranked), offset + std::min(query.limit, static_cast<size_t>(found.total) - offset));
  Explainer explainer(connection_, query, conditions);
  std::vector<AssetId> shown;
  for (size_t i = offset; i < top.size(); ++i) shown.push_back(top[i].id);
  explainer.prepare(shown);
  const Finding kNone;
  for (size_t i = offset; i < top.size(); ++i) {
    const Ranked& item = top[i];
    const auto finding = findings.find(item.id);
    const Finding& about = finding == findings.end() ? kNone : finding->second;
    FoundAsset asset = explainer.explain(item.id, about.moments);
    asset.score = item.score;
    if (finding != findings.end()) asset.why.push_back(about.best.why);
    found.assets.push_back(std::move(asset));
  }
  return found;
}

Result<std::vector<std::pair<AssetId, double>>> CatalogueReader::assets_with(const TextCondition& text) const {
  return guarded([&] {
    const AssetId end = connection_->integer("SELECT max(id) FROM assets") + 1;
    if (end > kMostAssets) raise_damaged();
    Conditions conditions(*connection_, end);
    const IdSet found = conditions.matching_text(text, text.prefix);
    const std::vector<float> sure = conditions.certainty({text}, found);
    std::vector<std::pair<AssetId, double>> assets;
    found.for_each([&](AssetId id) { assets.emplace_back(id, sure.empty() ? 1 : sure[static_cast<size_t>(id)]); });
    return assets;
  });
}

}  // namespace image_engine::store
