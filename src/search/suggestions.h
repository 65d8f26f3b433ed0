// What may have been meant by a query that finds nothing.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "search/search.h"

namespace image_engine::search {

// A note for each word or text that no asset has: the nearest one in the catalogue or among the rules of tags, or where
// in paths it is. Reads a part of the text index: call it only where little was found. Errors of the catalogue.
Result<std::vector<std::string>> suggestions(const store::CatalogueReader& catalogue, const store::AssetQuery& query,
                                             const SearchOptions& options);

}  // namespace image_engine::search
