// Answers a person's query, in the grammar of docs/search.md, from the catalogue.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "search/relevance.h"
#include "search/tag_rules.h"
#include "search/vectors.h"
#include "store/asset_query.h"
#include "store/catalogue.h"

namespace image_engine::search {

struct PlacePosition {
  double latitude = 0, longitude = 0;  // degrees
};
// The positions of the places of a name, for near:NAME, in a country or region if `within` is not empty; may be empty.
using FindPlaces = std::function<Result<std::vector<PlacePosition>>(std::string_view name, std::string_view within)>;

// Embeds text as a vector of length 1.
using EmbedText = std::function<Result<std::vector<float>>(std::string_view text)>;

// Finds pictures by what they show: their vectors and the text tower of the same model.
struct PictureMeaning {
  const VectorIndex* index = nullptr;
  EmbedText embed;
  CosinePrior prior;
};
// Likewise, passages by what is said in them: vectors of passages (types/passages.h) at the moments of their first
// segments, and the sentence model that made them.
using SpeechMeaning = PictureMeaning;
// Finds pictures by tags similar in meaning to the query: vectors of all tags, and of the query.
struct TagMeaning {
  std::vector<std::pair<std::string, std::vector<float>>> terms;
  EmbedText embed;
  CosinePrior prior;
};

struct SearchOptions {
  std::size_t limit = 50;
  std::size_t offset = 0;
  std::size_t most_moments = 1000;  // of each asset
  bool include_missing = false;
  FindPlaces find_places;
  int threads = 1;
  // Called only when the query has meaningful words; `tags` only if `pictures` returns null. nullptr: not available. An
  // error becomes a note.
  std::function<Result<const PictureMeaning*>()> pictures;
  std::function<Result<const TagMeaning*>()> tags;
  std::function<Result<const SpeechMeaning*>()> speech;
  // Called only when the query has an unquoted `tag:`. nullptr: only keywords. Its error is the search's error.
  std::function<Result<const TagRules*>()> tag_rules;
};

using SearchResult = store::FoundAsset;

struct SearchResults {
  std::vector<SearchResult> results;  // best first
  std::uint64_t total = 0;            // without limit and offset
  std::uint64_t without_date = 0;     // see store::FoundAssets
  std::vector<std::string> notes;     // for a person: "nothing has been analysed for object: yet"
};

// A field and the stage that fills it.
struct AnalysedField {
  store::TextField field = {};
  std::string_view stage;
  friend bool operator==(const AnalysedField&, const AnalysedField&) = default;
};

struct ParsedQuery {
  store::AssetQuery query;
  // Of each alternative of the query, its own first: the plain and quoted words as written, separated by blanks; empty
  // if none of them describes a picture ("the", "&").
  std::vector<std::string> texts;
  std::vector<AnalysedField> analysed_fields;  // fields in the query that stages fill
  std::vector<std::string> notes;              // for a person: what of the query counts for nothing
  bool asks_for_subjects = false;              // some condition is on masks
};

// Errors: kInvalidArgument for an unknown field (the message names the nearest), an invalid value, or what is not in
// the grammar. Safe on any bytes.
Result<ParsedQuery> parse_query(std::string_view text, const SearchOptions& options = {});

// Errors: those of parse_query and of the catalogue; kNotFound where `subject:` is asked for and no photo has been
// segmented. An unusable model causes a note, not an error: words are still
// searched.
Result<SearchResults> search(const store::CatalogueReader& catalogue, std::string_view text,
                             const SearchOptions& options = {});

// Pictures and videos similar to this picture's or text's vector, nearest first, at most `limit` of those that are not
// missing. A video is as near as its nearest frame. For text only those at or above the relevance threshold.
struct SimilarByVector {
  store::AssetId asset = 0;
  std::string path;
  double cosine = 0;
  double relevance = 0;                           // of text; 0 for a picture
  std::optional<store::FoundMoment> moment = {};  // of a video: the nearest frame
};
Result<std::vector<SimilarByVector>> similar_to(const store::CatalogueReader& catalogue, const PictureMeaning& meaning,
                                                std::span<const float> vector, bool is_text, std::size_t limit,
                                                int threads);

}  // namespace image_engine::search
