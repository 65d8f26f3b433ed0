// The catalogue's files and assets: what a scan met, and which picture each file holds. Parts of
// CatalogueReader and CatalogueWriter (store/catalogue.h), whose rules for threads, errors and transactions hold.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/result.h"
#include "store/types.h"

namespace image_engine::store {

class Connection;
struct WriterState;

class FileReader {
 public:
  // kNotFound when no such file is catalogued.
  Result<AssetId> find_asset_by_path(const std::string& path) const;
  Result<AssetId> find_asset_by_hash(const Hash128& hash) const;
  // All files at or below `root`, in no order, whatever their state.
  Result<std::vector<KnownFile>> known_files(const std::string& root) const;
  // Whether a catalogued file, in whatever state, lies at or below this absolute path.
  Result<bool> knows(const std::string& path) const;
  // `first` comes first among its files, and its metadata counts; without it, the oldest present file.
  Result<AssetRecord> asset_record(AssetId id, const std::string& first = {}) const;
  // What the headers of each of its files say, by path; a file whose headers were not read is omitted.
  Result<std::map<std::string, Metadata>> file_metadata(AssetId id) const;
  Result<std::vector<AssetId>> asset_ids() const;
  // Assets of that kind with a hash and a file that is not missing, by id.
  Result<std::vector<AssetBrief>> briefs(MediaKind kind) const;

 protected:
  explicit FileReader(Connection& connection) : connection_(&connection) {}

 private:
  Connection* connection_;
};

// What set_content found.
struct Content {
  AssetId asset = 0;
  bool known = false;             // the asset existed: another file has the same picture
  std::optional<Hash128> former;  // the asset's hash in an earlier format, if it was renamed now
};

// A file's metadata and place as they are written. Made by any thread, so that the writer only writes.
struct FileFacts;
struct PreparedMetadata {
  MediaFormat format = MediaFormat::kNone;
  std::uint32_t orientation = 0;           // of a photo; else 0
  std::string record;                      // JSON
  std::shared_ptr<const FileFacts> facts;  // as `record` has them
};
PreparedMetadata prepare_metadata(const Metadata& metadata, const std::optional<Place>& place);

// Whether set_file_metadata() or put_failure() follows for a file. Its words wait for that: they are indexed once.
enum class Headers : bool { kNone, kFollow };

class FileWriter {
 public:
  Status add_root(const std::string& path, std::uint64_t device);
  // All files at or below `root`, in no order, whatever their state.
  Result<std::vector<KnownFile>> known_files(const std::string& root);
  // The files of an asset, whatever their state, by id.
  Result<std::vector<KnownFile>> files_of(AssetId asset);
  // A new file, or one that was seen before. With another stamp it is another content and gets a provisional asset;
  // with another sidecar it only loses its metadata version; else it is touched. The format that set_file_metadata
  // gave stays while the stamp does. With kFollow no text finds new content before its metadata, its failure or
  // index_waiting().
  Result<KnownFile> upsert_file(const FileObservation& seen, RunId run, Headers headers = Headers::kNone);
  // Indexes the names of files whose metadata did not follow, those of earlier writers that were killed, too.
  Status index_waiting();
  // These were seen again as they were: present, and of this run.
  Status touch_files(std::span<const FileId> files, RunId run);
  // The same content at another path: keeps its asset, hash and records. A row at the new path gives way.
  Status move_file(FileId file, const FileObservation& seen, RunId run);
  // Its metadata is to be read again.
  Status forget_metadata_version(FileId file);
  // Files that a scan did not meet; the ledger forgets those that are missing or excluded. Where they are seen again,
  // upsert_file or touch_files makes them present.
  Status set_file_state(std::span<const FileId> files, FileState state);
  // A photo whose orientation is another one than before becomes another asset, as other content does: what was
  // computed for one orientation is never shown for another. Where size, colours or format of the same bytes are
  // understood in another way than by an earlier version, what was computed from pixels is forgotten.
  // Keeps `metadata` as the file's record of the stage "metadata" and makes it searchable at commit(). This,
  // set_content and put_record clear the failure of their stage ("metadata", "content", the record's).
  Status set_file_metadata(FileId file, const PreparedMetadata& metadata, const std::string& version);
  Status set_file_metadata(FileId file, const Metadata& metadata, const std::optional<Place>& place,
                           const std::string& version) {
    return set_file_metadata(file, prepare_metadata(metadata, place), version);
  }
  // Finds the stills and clips of Live Photos anew among the files that are there: by Apple's content identifier where
  // both have one, else by folder, stem, length and capture time (docs/video.md). Each of a pair gets a record that
  // names the other's file, and the clip's asset is shown no more; a pair that has lost a file is one no more.
  Status pair_live_photos();
  // Pass 2 has read the file. Its provisional asset becomes the asset of that hash: the one that is there, or itself.
  // An asset whose hash is of an earlier format takes the new one and keeps its records, ratings and labels. `former`
  // is the asset's hash in those formats, if wants_former_hashes(): a person's ratings and labels of that hash are
  // copied to this asset. So are those of the same picture by its other orientations, `siblings`, but for examples of a
  // part of it; each only where the asset is new.
  Result<Content> set_content(FileId file, const Hash128& file_hash, const Hash128& asset_hash,
                              const Hash128& former = {}, std::span<const Hash128> siblings = {});
  // Whether a person has rated or labelled pictures that were not seen since an earlier format.
  Result<bool> wants_former_hashes();
  // Each asset once, by one of its present files: those whose hash is unknown or that lack a wanted record.
  Result<std::vector<PendingFile>> pending(const PendingQuery& query);

 protected:
  explicit FileWriter(WriterState& state) : state_(&state) {}

 private:
  WriterState* state_;
};

}  // namespace image_engine::store
