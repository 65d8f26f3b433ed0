// What is known of photos that may be duplicates: a part of find_duplicates().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "search/duplicates.h"
#include "vision/best_of.h"
#include "vision/colour_signature.h"

namespace image_engine::search {

struct Photo {
  store::AssetBrief brief;
  std::uint64_t phash = 0;
  vision::ColourSignature colours;
  std::optional<vision::Quality> quality;
  bool decoded = false, partial = false, animated = false;  // by its thumbnail's record
};

// Photos that have a hash, by asset. A malformed record is ignored.
Result<std::vector<Photo>> load_photos(const store::CatalogueReader& catalogue, const DuplicateOptions& options);

// What its file at brief.path has.
Result<vision::Candidate> candidate_of(const store::CatalogueReader& catalogue, const Photo& photo);
// What a raw photo has together with the camera's JPEG of it.
vision::Candidate both_of(vision::Candidate raw, const vision::Candidate& jpeg);
// What one of the asset's files has; `metadata`: of all its files.
vision::Candidate candidate_of(const store::AssetRecord& record, const std::map<std::string, Metadata>& metadata,
                               const store::FileObservation& file);

}  // namespace image_engine::search
