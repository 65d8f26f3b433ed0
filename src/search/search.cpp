#include "search/search.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <unordered_map>

#include "core/text.h"

namespace image_engine::search {
namespace {

using store::AssetId;
using store::Relevant;
using store::TextField;
using store::VectorId;

constexpr char kLooksLike[] = "looks like";
constexpr char kNoContent[] = "these words alone do not describe a picture: they are only searched for as words";

// Most bytes of text for a model: far more than the 77 tokens that CLIP reads.
constexpr std::size_t kMostText = 1000;
// Bytes of the query that each result repeats as its evidence.
constexpr std::size_t kMostEvidence = 100;
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
                                             const ParsedQuery& parsed) {
  CosineHistogram histogram;
  for (const auto& [name, vector] : meaning.terms) {
    if (vector.size() != query.size())
      return fail(ErrorCode::kInvalidArgument, "the vectors of tags and query are not of one model");
    ++histogram.counts[CosineHistogram::bin_of(static_cast<float>(cosine_of(query, vector)))];
    ++histogram.total;
  }
  std::set<std::string> query_words = {ascii_lower(parsed.words)};
  for (const store::TextCondition& word : parsed.query.words) query_words.insert(ascii_lower(word.text));
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

// The assets of these tags, in their order.
Result<std::vector<Relevant>> tagged(const store::CatalogueReader& catalogue, const std::vector<RelatedTag>& tags,
                                     const std::string& text) {
  std::vector<Relevant> found;
  for (const RelatedTag& tag : tags) {
    for (const TextField field : {TextField::kKeywords, TextField::kObjects, TextField::kProducts, TextField::kScene}) {
      IE_TRY(const std::vector<AssetId> assets, catalogue.assets_with({field, tag.name}));
      const store::Why why{std::string(store::text_field_name(field)), tag.name + " (like " + text + ")"};
      for (const AssetId asset : assets) found.push_back({asset, tag.relevance, why});
    }
  }
  return found;
}

// A search by meaning. Errors of models become notes.
class Meaning {
 public:
  Meaning(const store::CatalogueReader& catalogue, const ParsedQuery& parsed, const SearchOptions& options,
          std::vector<std::string>& notes)
      : catalogue_(catalogue), parsed_(parsed), options_(options), notes_(notes), text_(model_text(parsed.words)) {
    evidence_ = utf8_beginning(text_, kMostEvidence);
    if (evidence_.size() < text_.size()) evidence_ += "…";
  }

  // Null if only words can be searched.
  std::function<Result<std::vector<Relevant>>(const store::IdSet&)> finder() {
    if (const PictureMeaning* pictures = model(options_.pictures); pictures && embedded(pictures->embed))
      return [this, pictures](const store::IdSet& allowed) { return find_pictures(*pictures, allowed); };
    if (const TagMeaning* tags = model(options_.tags); tags && embedded(tags->embed))
      return [this, tags](const store::IdSet&) { return find_tagged(*tags); };
    return nullptr;
  }

 private:
  template <typename T>
  const T* model(const std::function<Result<const T*>()>& ask) {
    if (!ask) return nullptr;
    const Result<const T*> answer = ask();
    if (answer) return *answer;
    notes_.push_back(answer.error().message);
    return nullptr;
  }

  bool embedded(const EmbedText& embed) {
    Result<std::vector<float>> vector = embed(text_);
    if (vector && (vector->empty() || !std::ranges::all_of(*vector, [](float x) { return std::isfinite(x); })))
      vector = fail(ErrorCode::kCorrupt, "the text model returned an invalid vector: pull it again");
    if (!vector) {
      notes_.push_back(vector.error().message);
      return false;
    }
    vector_ = std::move(*vector);
    return true;
  }

  Result<std::vector<Relevant>> find_pictures(const PictureMeaning& pictures, const store::IdSet& allowed) {
    const Result<std::vector<AboutText>> found = about(pictures, vector_, allowed, options_.threads);
    std::vector<Relevant> findings;
    if (!found) {
      notes_.push_back(found.error().message);
      return findings;
    }
    for (const AboutText& item : *found)
      findings.push_back({store::asset_of(item.neighbour.id),
                          item.relevance,
                          {kLooksLike, evidence_},
                          store::moment_of(item.neighbour.id)});
    return findings;
  }

  Result<std::vector<Relevant>> find_tagged(const TagMeaning& tags) {
    const Result<std::vector<RelatedTag>> related = related_tags(tags, vector_, parsed_);
    if (related) return tagged(catalogue_, *related, evidence_);
    notes_.push_back(related.error().message);
    return std::vector<Relevant>();
  }

  const store::CatalogueReader& catalogue_;
  const ParsedQuery& parsed_;
  const SearchOptions& options_;
  std::vector<std::string>& notes_;
  std::string text_, evidence_;
  std::vector<float> vector_;
};

}  // namespace

Result<SearchResults> search(const store::CatalogueReader& catalogue, std::string_view text,
                             const SearchOptions& options) {
  IE_TRY(ParsedQuery parsed, parse_query(text, options));
  SearchResults results;
  for (const store::TextField field : parsed.analysed_fields) {
    IE_TRY(const bool analysed, catalogue.has_text(field));
    if (!analysed)
      results.notes.push_back("nothing has been analysed for " + std::string(store::text_field_name(field)) +
                              ": yet, so it finds nothing");
  }
  Meaning meaning(catalogue, parsed, options, results.notes);
  if (!parsed.words.empty())
    parsed.query.more = meaning.finder();
  else if (!parsed.query.words.empty() && (options.pictures || options.tags))
    results.notes.emplace_back(kNoContent);
  IE_TRY(store::FoundAssets found, catalogue.find(parsed.query));
  results.results = std::move(found.assets);
  results.total = found.total;
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
