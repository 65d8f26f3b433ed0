// The kinds of analysis that a run does, with their versions: one table, read by analyze, status and the ledger.
#pragma once

#include "core/config.h"
#include "store/types.h"

namespace image_engine::pipeline {

inline constexpr char kMetadataStage[] = "metadata";
inline constexpr char kContentStage[] = "content";
inline constexpr char kThumbnailStage[] = "thumbnail";

// Raise a version when its output changes: records of older versions are then made again.
store::StageKey metadata_key();
// Opening, reading and hashing the whole file: leaves no record, but can fail.
store::StageKey content_key();
// Model is the encoder, params the size and quality asked for.
store::StageKey thumbnail_key(const Config& config);

}  // namespace image_engine::pipeline
