// What is said in an asset, as the catalogue has it.
#pragma once

#include <span>
#include <vector>

#include "core/result.h"
#include "store/catalogue.h"
#include "types/transcript.h"

namespace image_engine::pipeline {

// The `source` in the record of speech where that is not subtitles.
inline constexpr char kHeardByModel[] = "model";

// In order of time; empty: nothing is said, or it was not analyzed. Errors: the catalogue's; kCorrupt (a record).
Result<std::vector<SpeechSegment>> speech_of(const store::CatalogueReader& reader, store::AssetId asset);
// Likewise, of what was read.
Result<std::vector<SpeechSegment>> speech_of(std::span<const store::Moment> moments,
                                             std::span<const store::MomentRecord> records);

}  // namespace image_engine::pipeline
