// The kinds of analysis that a run does, with their versions: one table, read by analyze, status and the ledger.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "preprocess/plan.h"
#include "store/types.h"
#include "types/image.h"
#include "types/luma.h"

namespace image_engine::pipeline {

inline constexpr char kMetadataStage[] = "metadata";
inline constexpr char kContentStage[] = "content";
inline constexpr char kDecodeStage[] = "decode";
inline constexpr char kThumbnailStage[] = "thumbnail";
inline constexpr char kObjectsStage[] = "objects";
inline constexpr char kEmbeddingStage[] = "embedding";
inline constexpr char kFeaturesStage[] = "features";
inline constexpr char kSceneStage[] = "scene";
inline constexpr char kTextStage[] = "text";
inline constexpr char kFacesStage[] = "faces";
// Of pass 3.
inline constexpr char kRetailProductsStage[] = "retail_products";
inline constexpr char kDescriptionStage[] = "description";

// The working picture's longer edge: small enough to be cheap, large enough that hashes and colours are those of the
// full one.
inline constexpr std::uint32_t kWorkingEdge = 640;

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
  std::uint32_t full_width = 0, full_height = 0;  // of the photo, of which `picture` may be a reduced copy
  // The photo with a longer edge of at least `edge`, where it has that much: decoded again. Good until the next call.
  std::function<Result<ImageView>(std::uint32_t edge)> larger = {};
};

// What a stage found in a picture.
struct Finding {
  std::string data;                                         // of its record: one JSON value
  std::optional<std::vector<store::FoundObjects>> objects;  // to be searched for
  std::optional<std::vector<store::FoundClass>> scenes;     // likewise
  std::optional<std::vector<std::string>> text;             // likewise, a line each
  std::vector<float> vector;                                // of length 1, in the space of the stage's key
};

// A stage that looks at the decoded picture. Adding one is adding a row to the table in stages.cpp.
struct PictureStage {
  store::StageKey key;
  std::uint32_t edge = 0;  // the longer edge it wants to see, pixels
  bool luma = false;       // whether it needs the statistics of full-resolution luma
  // Both thread-safe; empty before load().
  std::function<Result<Finding>(const Sight&)> look;
  // Of stages whose model is faster on several pictures at once, instead of `look`: what it makes of one, and what it
  // finds in each of several. An error of the second is one of them all: call it for each alone to tell.
  std::function<Result<preprocess::Prepared>(const Sight&)> prepare = {};
  std::function<Result<std::vector<Finding>>(std::span<const preprocess::Prepared>)> look_at_all = {};
  // Of stages with a model: gets it ready, when there is something to do. Sets look, device, precision.
  std::function<Status(PictureStage&)> load = {};
  std::string device = "cpu", precision = {};
  // What runs it now, where that may change: a session may fall back to the CPU. Thread-safe; empty: as above.
  std::function<std::pair<std::string, std::string>()> runs_on = {};
  std::size_t batch = 0;       // pictures that look_at_all() is fastest with; 0: what the configuration says
  std::size_t prepared_bytes = 0;  // that prepare() gives for a picture
  std::size_t dimensions = 0;      // of the vectors it gives
  [[nodiscard]] bool is_loaded() const { return look != nullptr || prepare != nullptr; }
};
// Those that need no model.
const std::vector<PictureStage>& picture_stages();

// The names that `analyze --only` and `--redo` take: all stages of pass 2, and those of pass 3.
std::vector<std::string> content_stage_names();
std::vector<std::string> cloud_stage_names();

}  // namespace image_engine::pipeline
