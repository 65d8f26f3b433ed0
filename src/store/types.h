// What goes into the catalogue and comes out of it. docs/catalogue.md tells the whole schema.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/result.h"
#include "types/box.h"
#include "types/media_format.h"
#include "types/metadata.h"

namespace image_engine::store {

using AssetId = std::int64_t;
using FileId = std::int64_t;
// A run's number is also the generation of what it saw.
using RunId = std::int64_t;

enum class FileState : std::uint8_t {
  kPresent,
  kMissing,   // its folder is there, the file is not
  kExcluded,  // patterns leave it out since it was analyzed
  kOffline,   // its file system is away
};
// "present", "missing", "excluded", "offline".
std::string_view state_name(FileState state);
// Missing or excluded: the library is without it.
inline bool is_away(FileState state) { return state == FileState::kMissing || state == FileState::kExcluded; }

// Tells whether a file has changed.
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

// What a scan sees of a file without parsing it. Paths are bytes, absolute, without a trailing slash.
struct FileObservation {
  std::string path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  FileStamp stamp;
  std::optional<Sidecar> sidecar;
  MediaFormat format = MediaFormat::kNone;
  MediaKind kind = MediaKind::kNone;  // by content, else by extension for a broken file
};

struct KnownFile {
  FileId id = 0;
  AssetId asset = 0;
  FileObservation seen;  // as of the last time it was seen
  FileState state = FileState::kPresent;
  bool hashed = false;           // pass 2 has read this content
  bool carried = false;          // read by an earlier format, whose hash is no more; its records count
  std::string metadata_version;  // of the metadata record, empty without one
};

// Where a picture was taken, by name; parts that are not known are empty.
struct Place {
  std::string city, region, country;
  std::string country_code;  // ISO 3166-1 alpha-2, upper case
  bool operator==(const Place&) const = default;
};

// One stage's way to do its work. `params` is the hash, in hex, of all that changes the output; may be empty.
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

// What the catalogue is asked to bring up to date.
struct WantedStage {
  StageKey key;
  MediaKind kind = MediaKind::kNone;  // only for this kind; kNone is for both
  // What failed for one of these reasons is offered all the same.
  std::vector<ErrorCode> forgiven = {};
};

struct PendingQuery {
  // Absolute files and folders; empty is everything.
  std::vector<std::string> roots;
  std::vector<WantedStage> stages;
  // A file with an unchanged failure of one of these (same version) is not offered: nothing can be done without them.
  std::vector<StageKey> gates;
  // Offer also what failed before and did not change.
  bool retry = false;
  // Names of stages that are offered even where their record is there.
  std::vector<std::string> redo;
};

struct PendingFile {
  FileId file = 0;
  AssetId asset = 0;
  FileObservation seen;
  bool hashed = false;
  bool carried = false;  // as in KnownFile
  // Its picture is most likely none that the catalogue knows: not hashed, and taken when no other asset was. (Copies,
  // and the file itself before its metadata was edited, have its capture time.)
  bool is_new = false;
  std::vector<std::string>
      stages;  // those to do, in the order of PendingQuery::stages; all of them before the hash is known
};

struct Failure {
  std::int64_t id = 0;  // set by the catalogue
  FileId file = 0;      // 0: the path is all there is
  AssetId asset = 0;    // set by the catalogue
  std::string path;
  StageKey key;  // stage and version tell whether it is worth another try
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

// A scene of a picture, or a label that was learned.
struct FoundClass {
  std::string name;
  double confidence = 0;   // 0…1
  std::optional<Box> box;  // of what was recognised, where that is not the whole picture
};

// Everything known about an asset.
struct AssetRecord {
  AssetId id = 0;
  std::optional<Hash128> hash;  // none before pass 2
  MediaKind kind = MediaKind::kNone;
  std::vector<KnownFile> files;      // present ones first
  std::optional<Metadata> metadata;  // of the first file that has some
  std::optional<Place> place;
  std::vector<Record> records;  // of the asset, then of its files
  std::vector<Failure> failures;
  std::optional<int> user_rating;
  std::vector<std::string> labels;
  std::vector<FoundClass> learned;  // labels that were learned, surest first
};

// What comparing many pictures needs of each.
struct AssetBrief {
  AssetId id = 0;
  std::string path;        // of a present file, else of an offline one
  std::int64_t files = 0;  // that are present or offline
  std::int64_t bytes = 0, mtime_ns = 0;
  MediaFormat format = MediaFormat::kNone;
  std::int64_t width = 0, height = 0;
  std::optional<std::int64_t> taken_seconds;  // local, see CaptureTime::local_seconds
  std::string camera;                         // make and model
  bool has_gps = false;
  std::optional<int> rating;  // the person's own before the file's
};

// What the objects stage found in a picture, by name.
struct FoundObjects {
  std::string name;  // "person"
  std::int64_t count = 0;
  double confidence = 0;  // of the surest one, 0…1
};

// What vectors can be compared in: one model at one version.
using SpaceId = std::int64_t;
struct Space {
  SpaceId id = 0;
  StageKey key;
  std::size_t dimensions = 0;
  bool active = false;          // search reads this one
  std::int64_t generation = 0;  // rises with each change of a vector
  std::int64_t vectors = 0;
  std::string created;  // UTC, ISO 8601
};
// A vector as the catalogue has it: IEEE 754 binary16.
struct AssetVector {
  AssetId asset = 0;
  std::vector<std::uint16_t> vector;  // empty: it was removed
};
struct ObjectVector {
  AssetId asset = 0;
  std::string object;  // the detector's name for it
  Box box;             // pixels of the upright photo
  std::vector<std::uint16_t> vector;
};

// A label that a person teaches by examples.
struct LabelExample {
  Hash128 asset;
  bool positive = true;
  std::optional<Box> box;  // of the object that is meant
  AssetId id = 0;          // of that asset; 0: the catalogue has none. Set by the catalogue
};
struct LearnedLabel {
  std::string name;
  std::string object;  // looks at crops of these objects; empty: at whole pictures
  SpaceId space = 0;   // of the head; 0: not trained
  std::vector<float> weights;
  double bias = 0;
  std::string params;                                  // of the head: changes when its findings do
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
  std::int64_t unhashed_files = 0;                // present, pass 2 still to come; without what failed
  std::map<std::string, std::int64_t> by_kind;    // assets with a file that is not missing: "photo", "video"
  std::map<std::string, std::int64_t> by_format;  // files that are not missing
  std::map<std::string, std::int64_t> by_state;   // files
  struct StageCount {
    StageKey key;
    std::int64_t records = 0;
    bool stale = false;  // records of the same stage with another key are newer
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
