// What a person asks, in the grammar of docs/search.md, answered from the catalogue.
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
// The position of a place by name, for near:NAME; may be empty.
using FindPlace = std::function<std::optional<PlacePosition>(std::string_view name)>;

// Text as a vector; may be asked once a search.
using EmbedText = std::function<Result<std::vector<float>>(std::string_view text)>;

// How pictures are found by what they show: their vectors and the text tower of the same model.
struct PictureMeaning {
  const VectorIndex* index = nullptr;
  EmbedText embed;
  CosinePrior prior;
};
// How pictures are found by tags that mean what the query says: vectors of all tags, and of the query.
struct TagMeaning {
  std::vector<std::pair<std::string, std::vector<float>>> terms;
  EmbedText embed;
  CosinePrior prior;
};

struct SearchOptions {
  std::size_t limit = 50;
  std::size_t offset = 0;
  bool include_missing = false;
  FindPlace find_place;
  int threads = 1;
  // Asked only when the query has words that say something; `tags` only where `pictures` gives none. nullptr: none is
  // at hand. An error becomes a note.
  std::function<Result<const PictureMeaning*>()> pictures;
  std::function<Result<const TagMeaning*>()> tags;
  // Asked only when the query has a `tag:` that is not quoted. nullptr: keywords alone. An error is that of the search.
  std::function<Result<const TagRules*>()> tag_rules;
};

using SearchResult = store::FoundAsset;

struct SearchResults {
  std::vector<SearchResult> results;  // best first
  std::uint64_t total = 0;            // without limit and offset
  std::vector<std::string> notes;     // for a person: "nothing has been analysed for object: yet"
};

struct ParsedQuery {
  store::AssetQuery query;
  // The plain and quoted words as written, between blanks; empty where none of them says what a picture could show
  // ("the", "&").
  std::string words;
  std::vector<store::TextField> analysed_fields;  // named fields that only later analysis fills
};

// Errors: kInvalidArgument for an unknown field (the nearest is named) or a value that its field cannot have.
// Safe on any bytes.
Result<ParsedQuery> parse_query(std::string_view text, const SearchOptions& options = {});

// Errors: those of parse_query and of the catalogue.
// A model that cannot be used is a note, not an error: words find all the same.
Result<SearchResults> search(const store::CatalogueReader& catalogue, std::string_view text,
                             const SearchOptions& options = {});

// Pictures that look like that of this vector, or are what this text says; nearest first, at most `limit` of those that
// are not missing. For text only those at least as relevant as the cut-off.
struct SimilarByVector {
  store::AssetId asset = 0;
  std::string path;
  double cosine = 0;
  double relevance = 0;  // of text; 0 for a picture
};
Result<std::vector<SimilarByVector>> similar_to(const store::CatalogueReader& catalogue, const PictureMeaning& meaning,
                                                std::span<const float> vector, bool is_text, std::size_t limit,
                                                int threads);

}  // namespace image_engine::search
