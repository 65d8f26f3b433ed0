// The kinds of analysis of a run, with their versions: one table, read by analyze, status and the ledger.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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
#include "worker/gpu_protocol.h"
#include "worker/pool.h"

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
// Of photos, where analysis.segmentation is set (segmentation_stage.h).
using store::kSegmentationStage;
// Of videos only.
inline constexpr char kActionsStage[] = "actions";
// Vectors of what is said: of no pass, since they are made of the records of speech.
inline constexpr char kSpeechMeaningStage[] = "speech_meaning";
// Frames and scenes of a video.
inline constexpr char kVideoStage[] = "video";
inline constexpr char kLivePhotoStage[] = "live_photo";  // store::FileWriter::pair_live_photos()
// Of a video, to be compared with those of others (video/fingerprint.h). Made whenever its frames are.
inline constexpr char kFingerprintStage[] = "fingerprint";
// Of the sound of videos and recordings.
inline constexpr char kSpeechStage[] = "speech";
inline constexpr char kSoundsStage[] = "sounds";
inline constexpr char kLoudnessStage[] = "loudness";
// Of each plugin in `plugins.stages` "plugins:NAME" (plugin_stages.h).
inline constexpr char kPluginsStage[] = "plugins";
// Of pass 3.
inline constexpr char kRetailProductsStage[] = "retail_products";
inline constexpr char kDescriptionStage[] = "description";

// The working picture's longer edge, pixels: small enough to be cheap, large enough that hashes and colours equal those
// of the full picture.
inline constexpr std::uint32_t kWorkingEdge = 640;

// Increment a version when the output changes: records of older versions are then replaced.
store::StageKey metadata_key();
// Of the records of metadata: its key's, and whether dates come from names, too.
std::string metadata_version(const Config& config);
// Opening, reading and hashing the whole file: makes no record, but can fail.
store::StageKey content_key();
// Its model is the encoder, its params the configured size and quality.
store::StageKey thumbnail_key(const Config& config);

// Decoding: makes no record, but can fail; then no other stage of the picture runs.
store::StageKey decode_key();
store::StageKey quality_key();
// Params are what chooses frames and scenes. `scene_model`: key of the model that finds these; null: the built-in
// detector.
store::StageKey video_key(const Config& config, const store::StageKey* scene_model);
store::StageKey hash_key();
store::StageKey fingerprint_key();

// The input of a stage of pass 2: a photo, upright, sRGB.
struct StageInput {
  ImageView picture;
  const LumaStatistics& luma;
  std::uint32_t full_width = 0, full_height = 0;  // of the photo, of which `picture` may be a reduced copy
  // Decodes the photo again, with a longer edge of at least `edge` pixels if it is that large. Valid until the next
  // call.
  std::function<Result<ImageView>(std::uint32_t edge)> larger = {};
  // The decoder's memory that a picture of larger() lies in.
  std::function<worker::SharedPixels(const ImageView&)> shared = {};
  const CondensedPicture* condensed = nullptr;  // of `picture`; nothing is in it where no GPU made it
  // What `find` makes of `condensed` where a GPU made it, else of `picture`.
  template <typename Find>
  auto of_condensed_or_pixels(const Find& find) const {
    return condensed != nullptr && condensed->width > 0 ? find(*condensed) : find(picture);
  }
  bool only_large_text = false;  // looks for text at half the size, in a quarter of the time
  bool looked = false;           // the stage's look() left this photo to prepare()
};

// What a stage found in a picture.
struct StageOutput {
  std::string data;                // of its record: one JSON value
  std::vector<store::Fact> facts;  // what can be searched for
};

// What prepare() returns for one picture: the model's input; the output for a stage without batches.
using StageWork = std::variant<preprocess::Prepared, StageOutput>;

struct ClipModel;

// How a stage of pass 2 runs: prepare() for each picture, while it is decoded, then run() for `batch` of them at once.
// Both are thread-safe.
struct PictureStage {
  store::StageKey key;
  std::uint32_t edge = 0;  // the longer edge that it needs, pixels
  bool luma = false;       // whether it needs the statistics of full-resolution luma
  std::function<Result<StageWork>(const StageInput&)> prepare = {};
  // Of a slow stage: what can be said at once, for most photos all there is. nullopt: prepare() is to follow, in a pass
  // after all other stages of all photos (slow_stages.h), with a picture of `slow_edge`. Frames of videos are only
  // prepared. Thread-safe.
  std::function<Result<std::optional<StageOutput>>(const StageInput&)> look = {};
  std::uint32_t slow_edge = 0;
  // One output for each work. An error concerns the whole batch and leaves `works` unchanged: run them one by one to
  // find the cause.
  std::function<Result<std::vector<StageOutput>>(std::span<StageWork>)> run = {};
  // Of a stage whose model is on one GPU: the input that may be made there, and prepare() of one that was.
  std::optional<worker::GpuInput> gpu_input = {};
  std::function<Result<StageWork>(const StageInput&, const preprocess::MadeInput&)> prepare_made = {};
  // For stages with a model: loads it when there is work. Sets prepare, run, batch, device, precision.
  std::function<Status(PictureStage&)> load = {};
  std::string device = "cpu", precision = {};
  std::string reason = {};  // why these, for people
  // The current device and precision, where they may change: a session may fall back to the CPU. Thread-safe; empty: as
  // above.
  std::function<std::pair<std::string, std::string>()> runs_on = {};
  // The fastest batch for run(). 1: it is called right after prepare(); 0: as configured.
  std::size_t batch = 1;
  std::size_t prepared_bytes = 0;  // of one picture's prepare() result
  std::size_t dimensions = 0;      // of the vectors it returns
  // Of a stage that sees several frames of a video at once (action_windows.h): then prepare() and run() are not used.
  std::shared_ptr<const ClipModel> clip = {};
  // Of a stage that needs nothing of a frame but the vector that this other stage makes: where that stage runs as well,
  // prepare() and run() are not used.
  std::optional<store::StageKey> follows = {};
  std::function<Result<StageOutput>(std::span<const float> vector)> from_vector = {};
  [[nodiscard]] bool is_loaded() const { return prepare != nullptr; }
  // The device and precision that run it now.
  [[nodiscard]] std::pair<std::string, std::string> placement() const {
    return runs_on ? runs_on() : std::pair(device, precision);
  }
};

// The record of an output, as made where the stage runs now.
store::Record record_of(const PictureStage& stage, std::string data);

// run() of all works at once; if that fails, of each alone, so that only those to blame have an error. Thread-safe.
std::vector<Result<StageOutput>> run_each(const PictureStage& stage, std::span<StageWork> works);

// Makes the stage run `find` on one picture at a time, while it is decoded.
void run_alone(PictureStage& stage, std::function<Result<StageOutput>(const StageInput&)> find);

// The stages that need no model.
const std::vector<PictureStage>& picture_stages();

// The one list of all stages by name.
enum class Pass : std::uint8_t { kHeaders, kPictures, kServers };
struct StageRow {
  const char* name;
  Pass pass;
  bool selectable;      // `analyze --only` and `--redo` take its name
  const char* section;  // its section in an asset's JSON; "": merged into the asset; null: none
};
std::span<const StageRow> stage_rows();

// The stages of that pass that `analyze --only` and `--redo` accept.
std::vector<std::string> stage_names(Pass pass);
// The sections of an asset's JSON that hold the data of stages.
const std::vector<store::JsonSection>& json_sections();

}  // namespace image_engine::pipeline
