// What a person asks, in the grammar of docs/search.md, answered from the catalogue.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "store/asset_query.h"
#include "store/catalogue.h"

namespace image_engine::search {

struct PlacePosition {
  double latitude = 0, longitude = 0;  // degrees
};
// The position of a place by name, for near:NAME; may be empty.
using FindPlace = std::function<std::optional<PlacePosition>(std::string_view name)>;

struct SearchOptions {
  std::size_t limit = 50;
  std::size_t offset = 0;
  bool include_missing = false;
  FindPlace find_place;
};

using SearchResult = store::FoundAsset;

struct SearchResults {
  std::vector<SearchResult> results;  // best first
  std::uint64_t total = 0;            // without limit and offset
  std::vector<std::string> notes;     // for a person: "nothing has been analysed for object: yet"
};

struct ParsedQuery {
  store::AssetQuery query;
  std::vector<store::TextField> analysed_fields;  // named fields that only later analysis fills
};

// Errors: kInvalidArgument for an unknown field (the nearest is named) or a value that its field cannot have.
// Safe on any bytes.
Result<ParsedQuery> parse_query(std::string_view text, const SearchOptions& options = {});

// Errors: those of parse_query and of the catalogue.
Result<SearchResults> search(const store::CatalogueReader& catalogue, std::string_view text,
                             const SearchOptions& options = {});

}  // namespace image_engine::search
