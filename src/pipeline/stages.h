// The kinds of analysis that a run does, with their versions: one table, read by analyze, status and the ledger.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "preprocess/plan.h"
#include "store/asset_json.h"
#include "store/facts.h"
#include "store/types.h"
#include "types/image.h"
#include "types/luma.h"

namespace image_engine::pipeline {

inline constexpr char kMetadataStage[] = "metadata";
inline constexpr char kContentStage[] = "content";
inline constexpr char kDecodeStage[] = "decode";
inline constexpr char kThumbnailStage[] = "thumbnail";
inline constexpr char kQualityStage[] = "quality";
inline constexpr char kHashStage[] = "hash";
inline constexpr char kObjectsStage[] = "objects";
inline constexpr char kEmbeddingStage[] = "embedding";
inline constexpr char kFeaturesStage[] = "features";
inline constexpr char kSceneStage[] = "scene";
inline constexpr char kTextStage[] = "text";
inline constexpr char kFacesStage[] = "faces";
// Frames and scenes of a video.
inline constexpr char kVideoStage[] = "video";
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

// Decoding: leaves no record, but can fail; then no stage of the picture has anything to do.
store::StageKey decode_key();
store::StageKey quality_key();
// Params are what chooses frames and scenes.
store::StageKey video_key(const Config& config);
store::StageKey hash_key();

// What a stage of pass 2 gets of a photo: upright, sRGB.
struct StageInput {
  ImageView picture;
  const LumaStatistics& luma;
  std::uint32_t full_width = 0, full_height = 0;  // of the photo, of which `picture` may be a reduced copy
  // The photo with a longer edge of at least `edge`, where it has that much: decoded again. Valid until the next call.
  std::function<Result<ImageView>(std::uint32_t edge)> larger = {};
};

// What a stage found in a picture.
struct StageOutput {
  std::string data;                // of its record: one JSON value
  std::vector<store::Fact> facts;  // to be searched for
};

// What prepare() makes of one picture: the model's input, or, of a stage that needs no batches, its output.
using StageWork = std::variant<preprocess::Prepared, StageOutput>;

// How a stage of pass 2 runs: prepare() for each picture, while it is decoded, then run() for `batch` of them at once.
// Both are thread-safe.
struct PictureStage {
  store::StageKey key;
  std::uint32_t edge = 0;  // the longer edge that it needs, pixels
  bool luma = false;       // whether it needs the statistics of full-resolution luma
  std::function<Result<StageWork>(const StageInput&)> prepare = {};
  // An output for each. An error is one of them all, and leaves `works` as they were: call it for each alone to find
  // out whose.
  std::function<Result<std::vector<StageOutput>>(std::span<StageWork>)> run = {};
  // Of stages with a model: gets it ready, when there is something to do. Sets prepare, run, batch, device, precision.
  std::function<Status(PictureStage&)> load = {};
  std::string device = "cpu", precision = {};
  // What runs it now, where that may change: a session may fall back to the CPU. Thread-safe; empty: as above.
  std::function<std::pair<std::string, std::string>()> runs_on = {};
  // Pictures that run() is fastest with. 1: it is called right after prepare(); 0: what the configuration says.
  std::size_t batch = 1;
  std::size_t prepared_bytes = 0;  // that prepare() gives for a picture
  std::size_t dimensions = 0;      // of the vectors it gives
  [[nodiscard]] bool is_loaded() const { return prepare != nullptr; }
};

// Makes `find` the way to run the stage: one picture at a time, while it is decoded.
void run_alone(PictureStage& stage, std::function<Result<StageOutput>(const StageInput&)> find);

// Those that need no model.
const std::vector<PictureStage>& picture_stages();

// What the program knows of a stage by name: the one list of them.
enum class Pass : std::uint8_t { kHeaders, kPictures, kServers };
struct StageRow {
  const char* name;
  Pass pass;
  bool selectable;      // `analyze --only` and `--redo` take its name
  const char* section;  // of an asset's JSON that its data is; "": its members are the asset's own; null: none
};
std::span<const StageRow> stage_rows();

// The names that `analyze --only` and `--redo` take of that pass.
std::vector<std::string> stage_names(Pass pass);
// Where the data of stages stands in an asset's JSON.
const std::vector<store::JsonSection>& json_sections();

}  // namespace image_engine::pipeline
