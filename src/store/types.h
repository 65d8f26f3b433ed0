// The types that the catalogue stores and returns. docs/catalogue.md describes the schema.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/hash.h"
#include "core/result.h"
#include "types/box.h"
#include "types/media_format.h"
#include "types/metadata.h"

namespace image_engine::store {

using AssetId = std::int64_t;
// Counts from 1 within its asset (store/moments.h).
using MomentId = std::int64_t;
// Names a vector in a space: an asset's own, whose id is the asset's, or that of a moment of it.
using VectorId = std::int64_t;
inline constexpr int kAssetBits = 27;
constexpr VectorId vector_id(AssetId asset, MomentId moment) { return asset + (moment << kAssetBits); }
constexpr AssetId asset_of(VectorId id) { return id & ((VectorId{1} << kAssetBits) - 1); }
// 0: the vector is the asset's own.
constexpr MomentId moment_of(VectorId id) { return id >> kAssetBits; }
using FileId = std::int64_t;
// Files that a run saw carry its number.
using RunId = std::int64_t;

enum class FileState : std::uint8_t {
  kPresent,
  kMissing,   // its folder is there, the file is not
  kExcluded,  // excluded by patterns since it was analyzed
  kOffline,   // its file system is not mounted
};
// "present", "missing", "excluded", "offline".
std::string_view state_name(FileState state);
// Missing or excluded: not part of the library.
inline bool is_away(FileState state) { return state == FileState::kMissing || state == FileState::kExcluded; }

// A file with another stamp has changed.
struct FileStamp {
  std::int64_t size = 0;      // bytes
  std::int64_t mtime_ns = 0;  // since 1970
  bool operator==(const FileStamp&) const = default;
};
// Of an open file. Errors of fstat().
Result<FileStamp> stamp_of(int fd);

struct Sidecar {
  std::string path;
  FileStamp stamp;
  bool operator==(const Sidecar&) const = default;
};

// What a scan learns about a file without parsing it. Paths are bytes, absolute, without a trailing slash.
struct FileObservation {
  std::string path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  FileStamp stamp;
  std::optional<Sidecar> sidecar;
  MediaFormat format = MediaFormat::kNone;
  MediaKind kind = MediaKind::kNone;  // by content; by extension for a broken file
  // EXIF's number by which the photo is turned upright, once its headers are read: set by the catalogue; 0: not known.
  std::uint32_t orientation = 0;
};

struct KnownFile {
  FileId id = 0;
  AssetId asset = 0;
  FileObservation seen;  // at the last scan
  FileState state = FileState::kPresent;
  bool hashed = false;   // pass 2 has read this content
  bool carried = false;  // read by an earlier catalogue version, whose hashes are obsolete; its records are valid
  std::string metadata_version;  // of the metadata record, empty without one
};

using image_engine::Place;

// A stage's implementation. `params` is the hex hash of everything that changes the output; may be empty.
struct StageKey {
  std::string stage, model, version, params;
  auto operator<=>(const StageKey&) const = default;
};

struct Record {
  StageKey key;
  std::string device, precision;
  std::string data;     // one JSON value
  std::string created;  // UTC, ISO 8601; set by the catalogue
};

// FileWriter::pair_live_photos() keeps records of this stage, which name the other file of the pair. Their model is the
// asset's role.
inline constexpr std::string_view kLivePhotoStage = "live_photo", kLiveStill = "still", kLiveClip = "clip";

// A stage whose records are to be brought up to date.
struct WantedStage {
  StageKey key;
  MediaKind kind = MediaKind::kNone;  // only for this kind; kNone: for all
  // Files that failed with one of these codes are returned nevertheless.
  std::vector<ErrorCode> forgiven = {};
  // Due for these even where they have a record, or have failed.
  std::unordered_set<AssetId> renewed = {};
};

struct PendingQuery {
  // Absolute files and folders; empty: everything.
  std::vector<std::string> roots;
  std::vector<WantedStage> stages;
  // A file with an unchanged failure of one of these (same version) is not returned: the other stages depend on them.
  std::vector<StageKey> gates;
  // Also return unchanged files that failed before.
  bool retry = false;
  // Names of stages that are due even where they have a record.
  std::vector<std::string> redo;
};

// What analyze brings the catalogue up to.
struct CurrentStages {
  std::vector<PendingQuery> passes;
  std::string metadata_version;  // of the records of metadata; empty: unknown
};

struct PendingFile {
  FileId file = 0;
  AssetId asset = 0;
  FileObservation seen;
  bool hashed = false;
  bool carried = false;  // as in KnownFile
  // Its picture is most likely new to the catalogue: not hashed, and no other asset has its capture time. (Copies, and
  // the file before its metadata was edited, share the capture time.)
  bool is_new = false;
  std::vector<std::string> stages;  // those due, in the order of PendingQuery::stages; all while the hash is unknown
};

struct Failure {
  std::int64_t id = 0;  // set by the catalogue
  FileId file = 0;      // 0: only the path is known
  AssetId asset = 0;    // set by the catalogue
  std::string path;
  StageKey key;  // a retry is worthwhile once the version differs
  Error error;
  FileStamp stamp;                // of the file when it failed
  std::int64_t tries = 0;         // set by the catalogue
  std::string first_at, last_at;  // set by the catalogue: UTC, ISO 8601
};

// Counts by name: "files_seen", "analysed", "failed", … as the pipeline chooses.
using Counts = std::map<std::string, std::int64_t>;

struct Run {
  RunId id = 0;
  std::string command;
  std::string started;   // UTC, ISO 8601
  std::string finished;  // empty: still running, or killed
  Counts counts;
  std::optional<int> exit_code;
};

// A scene of a picture, or a learned label.
struct FoundClass {
  std::string name;
  double confidence = 0;   // 0…1
  std::optional<Box> box;  // of the recognised object; none: the whole picture
};

// Everything known about an asset.
struct AssetRecord {
  AssetId id = 0;
  std::optional<Hash128> hash;  // none before pass 2
  MediaKind kind = MediaKind::kNone;
  std::vector<KnownFile> files;      // present ones first
  std::optional<Metadata> metadata;  // of the first file that has metadata
  std::optional<Place> place;
  std::vector<Record> records;  // of the asset, then of its files
  std::vector<Failure> failures;
  std::optional<int> user_rating;
  std::string user_title;  // empty: none
  std::vector<std::string> labels;
  std::vector<FoundClass> learned;  // labels that were learned, surest first
};

// What is needed of each picture to compare many of them.
struct AssetBrief {
  AssetId id = 0;
  std::string path;        // of a present file; else of an offline one
  std::int64_t files = 0;  // that are present or offline
  std::int64_t bytes = 0, mtime_ns = 0;
  MediaFormat format = MediaFormat::kNone;
  std::int64_t width = 0, height = 0;
  std::optional<std::int64_t> taken_seconds;  // local, see CaptureTime::local_seconds
  bool taken_to_the_second = false;
  std::string camera;  // make and model
  bool has_gps = false;
  std::optional<int> rating;  // the user's own; else the file's
};

// What the objects stage found in a picture, by name.
struct FoundObjects {
  std::string name;  // "person"
  std::int64_t count = 0;
  double confidence = 0;  // of the surest one, 0…1
};

// How much of a picture is of that name.
struct FoundSubject {
  std::string name;       // "person", "dog", "sky"; "subject": all subjects and people together
  double share = 0;       // of its area, 0…1
  double confidence = 0;  // of the surest mask, 0…1
};
inline constexpr char kSegmentationStage[] = "segmentation";

// Vectors of one space can be compared: one model at one version made them.
using SpaceId = std::int64_t;
struct Space {
  SpaceId id = 0;
  StageKey key;
  std::size_t dimensions = 0;
  bool active = false;          // the one that search reads
  std::int64_t generation = 0;  // incremented with each change of a vector
  std::int64_t vectors = 0;
  std::string created;  // UTC, ISO 8601
};
// A vector as it is stored: IEEE 754 binary16.
struct AssetVector {
  AssetId asset = 0;
  std::vector<std::uint16_t> vector;  // empty: removed
};
struct ObjectVector {
  AssetId asset = 0;
  std::string object;  // the detector's class name
  Box box;             // pixels of the upright photo
  std::vector<std::uint16_t> vector;
};

// An example by which a person teaches a label.
struct LabelExample {
  Hash128 asset;
  bool positive = true;
  std::optional<Box> box;  // of the object that the example means
  AssetId id = 0;          // of that asset; 0: not in the catalogue. Set by the catalogue
};
struct LearnedLabel {
  std::string name;
  std::string object;  // classifies crops of these objects; empty: whole pictures
  SpaceId space = 0;   // of the head; 0: not trained
  std::vector<float> weights;
  double bias = 0;
  std::string params;                                  // of the head; changes when its findings change
  std::string trained;                                 // UTC, ISO 8601
  std::int64_t positive = 0, negative = 0, found = 0;  // numbers of examples and of findings; set by the catalogue
};
struct LabelFinding {
  AssetId asset = 0;
  double confidence = 0;
  std::optional<Box> box;
};

// One record's data.
struct StageData {
  AssetId asset = 0;
  std::string data;  // one JSON value
};

struct CatalogueStatus {
  std::int64_t assets = 0;
  std::int64_t unhashed_files = 0;                // present, waiting for pass 2; without failed files
  std::map<std::string, std::int64_t> by_kind;    // assets with a file that is not missing: "photo", "video", "audio"
  std::map<std::string, std::int64_t> by_format;  // files that are not missing
  std::map<std::string, std::int64_t> by_state;   // files
  struct StageCount {
    StageKey key;
    std::int64_t records = 0;
    std::int64_t stale = 0;  // of these, the ones that analyze renews
  };
  std::vector<StageCount> stages;
  std::vector<Space> spaces;                     // by stage, the active one of each first
  std::map<std::string, std::int64_t> failures;  // by error name
  std::vector<std::string> roots;
  std::int64_t media_bytes = 0;  // of files that are not missing
  std::int64_t size_bytes = 0;   // of the catalogue with its -wal
  std::int64_t runs = 0;
  std::optional<Run> last_run;
  int schema_version = 0;
};

}  // namespace image_engine::store
