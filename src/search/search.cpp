#include "search/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <list>
#include <set>
#include <unordered_map>

#include "core/text.h"
#include "search/speech_acts.h"
#include "search/suggestions.h"
#include "types/passages.h"

namespace image_engine::search {
namespace {

using store::AssetId;
using store::Relevant;
using store::TextField;
using store::VectorId;

constexpr char kLooksLike[] = "looks like";
constexpr char kSaid[] = "said something like it";
constexpr char kNoContent[] = "these words alone do not describe a picture: they are only searched for as words";

constexpr char kNotSegmented[] =
    "subject: needs masks, and no photo has been segmented yet: image-engine analyze PATH --segment";

// Most bytes of text for a model: far more than the 77 tokens that CLIP reads.
constexpr std::size_t kMostText = 1000;
// Bytes of the query that each result repeats as its evidence.
constexpr std::size_t kMostEvidence = 100;
// Bytes of a passage that a result quotes.
constexpr std::size_t kMostQuoted = 300;
// More findings than these are fetched by a second scan.
constexpr std::size_t kUsualFindings = 1000;

// Valid UTF-8 without control characters, not longer than a model could read.
std::string model_text(std::string_view words) {
  std::string text = to_utf8(utf8_beginning(words, kMostText));
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  return text;
}

struct AboutText {
  Neighbour neighbour;
  double relevance = 0;
};

// The pictures relevant to a text's vector, nearest first.
Result<std::vector<AboutText>> about(const PictureMeaning& meaning, std::span<const float> vector,
                                     const store::IdSet& allowed, int threads) {
  IE_TRY(ScanResult scanned, meaning.index->scan(vector, kUsualFindings, &allowed, threads));
  const Relevance relevance(scanned.all, meaning.prior);
  const auto is_about = [&](const Neighbour& n) { return relevance.of(n.cosine) >= Relevance::kLeast; };
  if (scanned.best.size() == kUsualFindings && is_about(scanned.best.back())) {
    IE_TRY(scanned, meaning.index->scan(vector, scanned.all.total, &allowed, threads));
  }
  std::vector<AboutText> found;
  for (const Neighbour& neighbour : scanned.best) {
    if (!is_about(neighbour)) break;
    found.push_back({neighbour, relevance.of(neighbour.cosine)});
  }
  return found;
}

double cosine_of(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

struct RelatedTag {
  std::string name;
  double relevance = 0;
};

// Tags similar in meaning to the query, the surest first, without those equal to it: words find these.
Result<std::vector<RelatedTag>> related_tags(const TagMeaning& meaning, const std::vector<float>& query,
                                             const std::string& text, const store::Alternative& words) {
  CosineHistogram histogram;
  for (const auto& [name, vector] : meaning.terms) {
    if (vector.size() != query.size())
      return fail(ErrorCode::kInvalidArgument, "the vectors of tags and query are not of one model");
    ++histogram.counts[CosineHistogram::bin_of(static_cast<float>(cosine_of(query, vector)))];
    ++histogram.total;
  }
  std::set<std::string> query_words = {ascii_lower(text)};
  for (const store::TextCondition& word : words.words) query_words.insert(ascii_lower(word.text));
  const Relevance relevance(histogram, meaning.prior);
  std::vector<RelatedTag> related;
  for (const auto& [name, vector] : meaning.terms) {
    const double probability = relevance.of(cosine_of(query, vector));
    if (probability >= Relevance::kLeast && !query_words.contains(ascii_lower(name)))
      related.push_back({name, probability});
  }
  std::ranges::stable_sort(related, std::greater<>(), &RelatedTag::relevance);
  return related;
}

// The assets of these tags, in their order, each as sure as it is that it has the tag and that the tag is meant.
Result<std::vector<Relevant>> tagged(const store::CatalogueReader& catalogue, const std::vector<RelatedTag>& tags,
                                     const std::string& text) {
  std::vector<Relevant> found;
  for (const RelatedTag& tag : tags) {
    for (const TextField field : {TextField::kKeywords, TextField::kObjects, TextField::kProducts, TextField::kScene}) {
      IE_TRY(const auto assets, catalogue.assets_with({field, tag.name}));
      const store::Why why{std::string(store::text_field_name(field)), tag.name + " (like " + text + ")"};
      for (const auto& [asset, certainty] : assets) found.push_back({asset, tag.relevance * certainty, why});
    }
  }
  return found;
}

// Embeds a query as the direction between its own vector and the middle of those of what is said in the acts that it
// names.
EmbedText with_acts(const EmbedText& embed) {
  return [&embed](std::string_view text) -> Result<std::vector<float>> {
    IE_TRY(std::vector<float> vector, embed(text));
    const std::vector<std::string> sentences = typical_of_acts(text);
    for (const std::string& sentence : sentences) {
      IE_TRY(const std::vector<float> said, embed(sentence));
      if (said.size() != vector.size()) return fail(ErrorCode::kInternal, "the text model's vectors differ in length");
      for (std::size_t i = 0; i < vector.size(); ++i) vector[i] += said[i] / static_cast<float>(sentences.size());
    }
    const double length = std::sqrt(cosine_of(vector, vector));
    if (length > 0)
      for (float& number : vector) number = static_cast<float>(number / length);
    return vector;
  };
}

// A search by meaning for the words of one alternative. Errors of models become notes.
class Meaning {
 public:
  Meaning(const store::CatalogueReader& catalogue, const store::Alternative& words, const std::string& text,
          const SearchOptions& options, std::vector<std::string>& notes)
      : catalogue_(catalogue), words_(words), options_(options), notes_(notes), text_(model_text(text)) {
    evidence_ = utf8_beginning(text_, kMostEvidence);
    if (evidence_.size() < text_.size()) evidence_ += "…";
  }

  using Find = std::function<Result<std::vector<Relevant>>(const store::IdSet&)>;
  // Null if only words can be searched.
  Find finder() {
    const Find shown = finder_of_shown(), said = finder_of_said();
    if (!shown || !said) return shown ? shown : said;
    return [shown, said](const store::IdSet& allowed) -> Result<std::vector<Relevant>> {
      IE_TRY(std::vector<Relevant> found, shown(allowed));
      IE_TRY(std::vector<Relevant> more, said(allowed));
      std::ranges::move(more, std::back_inserter(found));
      return found;
    };
  }

 private:
  Find finder_of_shown() {
    if (const PictureMeaning* pictures = model(options_.pictures))
      if (const auto vector = embedded(pictures->embed))
        return [this, pictures, vector](const store::IdSet& allowed) {
          return find_near(*pictures, *vector, allowed, {kLooksLike, evidence_});
        };
    if (const TagMeaning* tags = model(options_.tags))
      if (const auto vector = embedded(tags->embed))
        return [this, tags, vector](const store::IdSet&) { return find_tagged(*tags, *vector); };
    return nullptr;
  }

  Find finder_of_said() {
    if (const SpeechMeaning* speech = model(options_.speech))
      if (const auto vector = embedded(with_acts(speech->embed)))
        return [this, speech, vector](const store::IdSet& allowed) {
          return find_near(*speech, *vector, allowed, {kSaid, ""});  // quote() adds the text to what is shown
        };
    return nullptr;
  }

  template <typename T>
  const T* model(const std::function<Result<const T*>()>& ask) {
    if (!ask) return nullptr;
    const Result<const T*> answer = ask();
    if (answer) return *answer;
    notes_.push_back(answer.error().message);
    return nullptr;
  }

  std::optional<std::vector<float>> embedded(const EmbedText& embed) {
    Result<std::vector<float>> vector = embed(text_);
    if (vector && (vector->empty() || !std::ranges::all_of(*vector, [](float x) { return std::isfinite(x); })))
      vector = fail(ErrorCode::kCorrupt, "the text model returned an invalid vector: pull it again");
    if (!vector) {
      notes_.push_back(vector.error().message);
      return std::nullopt;
    }
    return std::move(*vector);
  }

  Result<std::vector<Relevant>> find_near(const PictureMeaning& meaning, const std::vector<float>& vector,
                                          const store::IdSet& allowed, store::Why why) {
    const Result<std::vector<AboutText>> found = about(meaning, vector, allowed, options_.threads);
    std::vector<Relevant> findings;
    if (!found) {
      notes_.push_back(found.error().message);
      return findings;
    }
    for (const AboutText& item : *found) {
      const store::MomentId moment = store::moment_of(item.neighbour.id);
      if (why.text.empty()) why.moment = moment;
      findings.push_back({store::asset_of(item.neighbour.id), item.relevance, why, moment});
    }
    return findings;
  }

  Result<std::vector<Relevant>> find_tagged(const TagMeaning& tags, const std::vector<float>& vector) {
    const Result<std::vector<RelatedTag>> related = related_tags(tags, vector, text_, words_);
    if (related) return tagged(catalogue_, *related, evidence_);
    notes_.push_back(related.error().message);
    return std::vector<Relevant>();
  }

  const store::CatalogueReader& catalogue_;
  const store::Alternative& words_;
  const SearchOptions& options_;
  std::vector<std::string>& notes_;
  std::string text_, evidence_;
};

// "at 0:42: Cheers to the happy couple."
Result<std::string> quote(const store::CatalogueReader& catalogue, AssetId asset, store::MomentId moment) {
  IE_TRY(const auto records, catalogue.moment_records(asset, std::string(store::kSpeechStage), moment, kMostSegments));
  std::vector<SpeechSegment> segments;
  for (const auto& [at, data] : records) {
    IE_TRY(segments.emplace_back(), speech_from_record(data, at.from, at.to));
  }
  const std::vector<Passage> passages = passages_of(segments);
  if (passages.empty()) return std::string();
  const std::string_view text = utf8_beginning(passages.front().text, kMostQuoted);
  return fmt::format("at {}: {}{}", clock_text(std::floor(passages.front().from)), text,
                     text.size() < passages.front().text.size() ? "…" : "");
}

// Of what is shown: reading the quotes of all findings would take longer than finding them.
Status add_quotes(const store::CatalogueReader& catalogue, SearchResult& result) {
  const auto add = [&](std::vector<store::Why>& list) -> Status {
    for (store::Why& why : list)
      if (why.field == kSaid && why.text.empty()) {
        IE_TRY(why.text, quote(catalogue, result.id, why.moment));
      }
    return {};
  };
  IE_CHECK(add(result.why));
  for (store::FoundMoment& moment : result.moments) IE_CHECK(add(moment.why));
  return {};
}

// Alternatives may say the same.
void drop_repeated(std::vector<std::string>& notes) {
  std::set<std::string> known;
  std::erase_if(notes, [&](const std::string& note) { return !known.insert(note).second; });
}

}  // namespace

Result<SearchResults> search(const store::CatalogueReader& catalogue, std::string_view text,
                             const SearchOptions& options) {
  IE_TRY(ParsedQuery parsed, parse_query(text, options));
  SearchResults results;
  results.notes = std::move(parsed.notes);
  for (const auto& [field, stage] : parsed.analysed_fields) {
    IE_TRY(const bool analysed, catalogue.is_analysed(field, stage));
    if (!analysed)
      results.notes.push_back("nothing has been analysed for " + std::string(store::text_field_name(field)) +
                              ": yet, so it finds nothing");
  }
  if (parsed.asks_for_subjects) {
    IE_TRY(const bool segmented, catalogue.has_records(store::kSegmentationStage));
    if (!segmented) return fail(ErrorCode::kNotFound, kNotSegmented);
  }
  std::list<Meaning> meanings;
  const bool may_ask = options.pictures || options.tags || options.speech;
  for (std::size_t i = 0; i < parsed.texts.size(); ++i) {
    store::Alternative& one = i == 0 ? parsed.query : parsed.query.others[i - 1];
    if (!parsed.texts[i].empty())
      one.more = meanings.emplace_back(catalogue, one, parsed.texts[i], options, results.notes).finder();
    else if (!one.words.empty() && may_ask)
      results.notes.emplace_back(kNoContent);
  }
  IE_TRY(store::FoundAssets found, catalogue.find(parsed.query));
  results.results = std::move(found.assets);
  results.total = found.total;
  results.without_date = found.without_date;
  if (found.without_date > 0)
    results.notes.push_back(
        fmt::format("{} no date, so that nobody knows whether this is when {} taken",
                    found.without_date == 1 ? "1 more has" : human_count(found.without_date) + " more have",
                    found.without_date == 1 ? "it was" : "they were"));
  for (SearchResult& result : results.results) IE_CHECK(add_quotes(catalogue, result));
  constexpr std::uint64_t kFew = 10;
  if (results.total < kFew) {
    IE_TRY(const std::vector<std::string> meant, suggestions(catalogue, parsed.query, options));
    std::ranges::copy(meant, std::back_inserter(results.notes));
  }
  drop_repeated(results.notes);
  return results;
}

namespace {

// The nearest vectors of at least `assets` assets, if there are so many: a video has many.
Result<std::vector<Neighbour>> nearest_of(const VectorIndex& index, std::span<const float> vector, std::size_t assets,
                                          const store::IdSet& allowed, int threads) {
  constexpr std::size_t kMore = 8;
  for (std::size_t most = assets;; most *= kMore) {
    IE_TRY(ScanResult scanned, index.scan(vector, most, &allowed, threads));
    std::set<AssetId> found;
    for (const Neighbour& neighbour : scanned.best) found.insert(store::asset_of(neighbour.id));
    if (found.size() >= assets || scanned.best.size() < most) return std::move(scanned.best);
  }
}

}  // namespace

Result<std::vector<SimilarByVector>> similar_to(const store::CatalogueReader& catalogue, const PictureMeaning& meaning,
                                                std::span<const float> vector, bool is_text, std::size_t limit,
                                                int threads) {
  std::unordered_map<AssetId, AboutText> nearest;
  store::AssetQuery query;
  query.limit = limit;
  query.more = [&](const store::IdSet& allowed) -> Result<std::vector<Relevant>> {
    std::vector<AboutText> near;
    if (is_text) {
      IE_TRY(near, about(meaning, vector, allowed, threads));
    } else {
      IE_TRY(const std::vector<Neighbour> found, nearest_of(*meaning.index, vector, limit, allowed, threads));
      for (const Neighbour& neighbour : found) near.push_back({neighbour, 0});
    }
    std::vector<Relevant> findings;
    for (const AboutText& item : near) {  // the nearest first
      const VectorId id = item.neighbour.id;
      nearest.try_emplace(store::asset_of(id), item);
      // In the order of their cosines, mapped to 0…1.
      findings.push_back({store::asset_of(id), (1.0 + item.neighbour.cosine) / 2, {}, store::moment_of(id)});
    }
    return findings;
  };
  IE_TRY(const store::FoundAssets found, catalogue.find(query));
  std::vector<SimilarByVector> similar;
  for (const store::FoundAsset& asset : found.assets) {
    const AboutText& item = nearest[asset.id];
    similar.push_back({asset.id, asset.path, item.neighbour.cosine, item.relevance});
    if (!asset.moments.empty()) similar.back().moment = asset.moments.front();
  }
  return similar;
}

}  // namespace image_engine::search
