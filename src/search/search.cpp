#include "search/search.h"

namespace image_engine::search {

Result<SearchResults> search(const store::CatalogueReader& catalogue, std::string_view text,
                             const SearchOptions& options) {
  IE_TRY(const ParsedQuery parsed, parse_query(text, options));
  SearchResults results;
  for (const store::TextField field : parsed.analysed_fields) {
    IE_TRY(const bool analysed, catalogue.has_text(field));
    if (!analysed)
      results.notes.push_back("nothing has been analysed for " + std::string(store::text_field_name(field)) +
                              ": yet, so it finds nothing");
  }
  IE_TRY(store::FoundAssets found, catalogue.find(parsed.query));
  results.results = std::move(found.assets);
  results.total = found.total;
  return results;
}

}  // namespace image_engine::search
