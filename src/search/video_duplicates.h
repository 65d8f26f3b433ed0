// Groups of videos that show the same recording: a part of find_duplicates().
#pragma once

#include <vector>

#include "core/result.h"
#include "search/duplicates.h"
#include "store/catalogue.h"

namespace image_engine::search {

// One group for each best video and those that are wholly in it, none of them in two groups. `briefs`: of videos. Those
// without a record of options.fingerprint_stage are in no group; a malformed record is ignored.
Result<std::vector<DuplicateGroup>> video_groups(const store::CatalogueReader& catalogue,
                                                 const DuplicateOptions& options,
                                                 const std::vector<store::AssetBrief>& briefs);

}  // namespace image_engine::search
