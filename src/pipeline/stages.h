// The kinds of analysis that a run does, with their versions: one table, read by analyze, status and the ledger.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "store/types.h"
#include "types/image.h"
#include "types/luma.h"

namespace image_engine::pipeline {

inline constexpr char kMetadataStage[] = "metadata";
inline constexpr char kContentStage[] = "content";
inline constexpr char kDecodeStage[] = "decode";
inline constexpr char kThumbnailStage[] = "thumbnail";

// Raise a version when its output changes: records of older versions are then made again.
store::StageKey metadata_key();
// Opening, reading and hashing the whole file: leaves no record, but can fail.
store::StageKey content_key();
// Model is the encoder, params the size and quality asked for.
store::StageKey thumbnail_key(const Config& config);

// Decoding: leaves no record, but can fail; then no stage that looks at the picture has anything to do.
store::StageKey decode_key();
store::StageKey quality_key();
store::StageKey hash_key();

// What a stage of pass 2 gets to see of a photo: upright, sRGB.
struct Sight {
  ImageView picture;
  const LumaStatistics& luma;
};

// A stage that looks at the decoded picture. Adding one is adding a row to the table in stages.cpp.
struct PictureStage {
  store::StageKey key;
  std::uint32_t edge;                       // the longer edge it wants to see, pixels
  bool luma;                                // whether it needs the statistics of full-resolution luma
  std::string (*look)(const Sight& sight);  // gives the record's data: one JSON value
};
const std::vector<PictureStage>& picture_stages();

}  // namespace image_engine::pipeline
