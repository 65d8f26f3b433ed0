// The catalogue: reading and writing it. Nobody else writes SQL. A reader or a writer belongs to one thread at a time;
// any number of readers work while one writer writes. Errors everywhere: kNoSpace (disk full: what was committed is
// kept), kCorrupt (damaged; the message names the remedy), kPermission, kIo, kBusy.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "store/asset_query.h"
#include "store/facts.h"
#include "store/moments.h"
#include "store/types.h"
#include "store/writer_lock.h"

namespace image_engine::store {

class Connection;

// The copy of a space's vectors that search/ keeps beside the catalogue for scanning. Deleted with its space.
std::string vectors_path(const std::string& catalogue, SpaceId space);

class CatalogueReader {
 public:
  // kNotFound: there is none at `path`. kNewer: a newer version wrote it. kUnsupported: an older version wrote it; a
  // writer upgrades it. Also works on a read-only medium.
  static Result<CatalogueReader> open(const std::string& path);
  CatalogueReader(CatalogueReader&&) noexcept;
  CatalogueReader& operator=(CatalogueReader&&) noexcept;
  ~CatalogueReader();

  // kNotFound when no such file is catalogued.
  Result<AssetId> find_asset_by_path(const std::string& path) const;
  Result<AssetId> find_asset_by_hash(const Hash128& hash) const;
  // Whether a catalogued file, in whatever state, lies at or below this absolute path.
  Result<bool> knows(const std::string& path) const;
  // `first` comes first among its files, and its metadata counts; without it, the oldest present file.
  Result<AssetRecord> asset_record(AssetId id, const std::string& first = {}) const;
  // What was found about the asset of this hash, by the keys of its records, in no order; where no asset has the hash,
  // about `otherwise`. Empty where there is neither.
  Result<std::vector<StageKey>> record_keys(const Hash128& hash, AssetId otherwise = 0) const;
  Result<std::vector<AssetId>> asset_ids() const;
  // Photos with a hash and a file that is not missing, by id.
  Result<std::vector<AssetBrief>> photo_briefs() const;
  // All records of that key about assets, by asset.
  Result<std::vector<StageData>> stage_data(const StageKey& key) const;
  Result<CatalogueStatus> status() const;
  // By path, then stage. `roots` as in PendingQuery.
  Result<std::vector<Failure>> list_failures(std::span<const std::string> roots = {}) const;
  Result<FoundAssets> find(const AssetQuery& query) const;
  // All assets that this text finds, whatever their state. Also while `more` of a query is being asked.
  Result<std::vector<AssetId>> assets_with(const TextCondition& text) const;
  // Whether put_fact has filled this column for any asset: distinguishes "nothing found" from "nothing analyzed yet".
  Result<bool> has_text(TextField field) const;

  // All spaces of a stage, the active one first, then by id.
  Result<std::vector<Space>> spaces(const std::string& stage) const;
  // Vectors of a space that changed after `generation` (0: all there are), by asset; removed ones have no numbers.
  Status changed_vectors(SpaceId space, std::int64_t generation,
                         const std::function<Status(AssetId, std::span<const std::uint16_t>)>& take) const;
  Result<std::optional<std::vector<std::uint16_t>>> vector_of(SpaceId space, AssetId asset) const;
  // Assets that have a vector in `space` but no record of `key` (a key without a stage: all that have one).
  Result<std::vector<AssetId>> assets_without(SpaceId space, const StageKey& key) const;
  // Shown assets that have such an object but no record of `key`.
  Result<std::vector<AssetId>> objects_without(const std::string& object, const StageKey& key) const;
  Result<std::vector<ObjectVector>> object_vectors(SpaceId space, const std::string& object) const;

  // Of an asset: its moments by time, what stages recorded at them, and the single things that were found.
  Result<std::vector<Moment>> moments(AssetId asset) const;
  Result<std::vector<MomentRecord>> moment_records(AssetId asset) const;
  Result<std::vector<MomentThing>> moment_things(AssetId asset) const;
  Result<std::optional<AnalysisProgress>> progress(AssetId asset) const;

  // By name.
  Result<std::vector<LearnedLabel>> learned_labels() const;
  Result<std::vector<LabelExample>> label_examples(const std::string& name) const;

  // What pictures are tagged with: keywords, objects, products, scenes, labels; each once, with the number of pictures.
  Result<std::vector<std::pair<std::string, std::int64_t>>> terms() const;
  Result<std::vector<std::pair<std::string, std::vector<std::uint16_t>>>> term_vectors(const std::string& model) const;

 private:
  explicit CatalogueReader(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

// What set_content found.
struct Content {
  AssetId asset = 0;
  bool known = false;             // the asset existed: another file has the same picture
  std::optional<Hash128> former;  // the asset's hash in an earlier format, if it was renamed now
};

class CatalogueWriter {
 public:
  // Creates a missing catalogue (mode 0600); upgrades an older one after copying it to `<path>.backup-v<version>`.
  // kNewer for a newer one, which is left untouched.
  static Result<CatalogueWriter> open(const std::string& path, WriterLock lock);
  CatalogueWriter(CatalogueWriter&&) noexcept;
  CatalogueWriter& operator=(CatalogueWriter&&) noexcept;
  // Without commit() what was written since begin() is lost.
  ~CatalogueWriter();

  // Many changes between begin() and commit() are one transaction, on disk after commit(). Outside of one, each call is
  // its own. A call that fails with kNotFound or kInvalidArgument has changed nothing; any other failure has rolled
  // the batch back: begin() anew.
  Status begin();
  Status commit();

  Result<RunId> start_run(const std::string& command);
  Status finish_run(RunId run, const Counts& counts, int exit_code);

  Status add_root(const std::string& path, std::uint64_t device);
  // All files at or below `root`, in no order, whatever their state.
  Result<std::vector<KnownFile>> known_files(const std::string& root);

  // The files of an asset, whatever their state, by id.
  Result<std::vector<KnownFile>> files_of(AssetId asset);

  // A new file, or one that was seen before. With another stamp it is another content and gets a provisional asset;
  // with another sidecar it only loses its metadata version; else it is touched. The format that set_file_metadata
  // gave stays while the stamp does.
  Result<KnownFile> upsert_file(const FileObservation& seen, RunId run);
  // These were seen again as they were: present, and of this run.
  Status touch_files(std::span<const FileId> files, RunId run);
  // The same content at another path: keeps its asset, hash and records. A row at the new path gives way.
  Status move_file(FileId file, const FileObservation& seen, RunId run);
  // Files that a scan did not meet; the ledger forgets those that are missing or excluded. Where they are seen again,
  // upsert_file or touch_files makes them present.
  Status set_file_state(std::span<const FileId> files, FileState state);

  // Keeps `metadata` as the file's record of the stage "metadata" and makes it searchable at commit(). This,
  // set_content and put_record clear the failure of their stage ("metadata", "content", the record's).
  Status set_file_metadata(FileId file, const Metadata& metadata, const std::optional<Place>& place,
                           const std::string& version);
  // Pass 2 has read the file. Its provisional asset becomes the asset of that hash: the one that is there, or itself.
  // An asset whose hash is of an earlier format takes the new one and keeps its records, ratings and labels. `former`
  // is the asset's hash in those formats, if wants_former_hashes(): a person's ratings and labels of that hash are
  // copied to this asset.
  Result<Content> set_content(FileId file, const Hash128& file_hash, const Hash128& asset_hash,
                              const Hash128& former = {});
  // Whether a person has rated or labelled pictures that were not seen since an earlier format.
  Result<bool> wants_former_hashes();

  // Replaces the record of the same key, and puts the facts that the stage found with it. Older keys of the stage stay
  // until prune().
  Status put_record(AssetId asset, const Record& record, std::span<const Fact> facts = {});
  Status put_file_record(FileId file, const Record& record);
  // Makes what a stage found searchable; replaces what was there of its kind and field. kInvalidArgument for a field
  // that the kind does not have, or a vector whose space does not exist or has other dimensions.
  Status put_fact(AssetId asset, const Fact& fact);

  // A moment replaces the one with its number, a moment's record the one of its stage. The facts belong to that moment
  // alone and do not make the asset searchable: put_record() does that. kNotFound for a record without its moment,
  // kInvalidArgument for an invalid range and for vectors.
  Status put_moment(AssetId asset, const Moment& moment);
  Status put_moment_record(AssetId asset, const MomentRecord& record, std::span<const Fact> facts = {});
  // Deletes all moments of an asset, with what was found at them and its progress.
  Status drop_moments(AssetId asset);
  // Deletes the records of that stage with another key: what they describe at the asset's moments has been replaced.
  Status drop_other_records(AssetId asset, const StageKey& key);
  // The progress of an asset's analysis; nullopt: it is done.
  Status put_progress(AssetId asset, const std::optional<AnalysisProgress>& progress);

  // The space of this key, created where it is missing. The first one of a stage is active. kInvalidArgument when it
  // exists with other dimensions.
  Result<Space> open_space(const StageKey& key, std::size_t dimensions);
  Status put_vector(AssetId asset, SpaceId space, std::span<const std::uint16_t> vector);
  // Search reads this one from now on.
  Status activate_space(SpaceId space);
  // With its vectors, those of objects too, and the records of its key.
  Status drop_space(SpaceId space);
  // All crops of that object in a picture; replaces what was there. The caller's record marks an empty list as
  // "analyzed, none found".
  Status set_object_vectors(SpaceId space, AssetId asset, const std::string& object,
                            const std::vector<ObjectVector>& vectors);
  Status put_term_vectors(const std::string& model,
                          const std::vector<std::pair<std::string, std::vector<std::uint16_t>>>& vectors);

  // Examples are a person's: kept as ratings are. An example is replaced where there is one of that label and asset;
  // nullopt takes it away. kNotFound for an asset without a hash.
  Status set_label_example(const std::string& name, AssetId asset, const std::optional<LabelExample>& example);
  // The head of a label; its findings are set apart.
  Status put_learned_label(const LearnedLabel& label);
  // Learned labels of one picture, beside those that it has. A person's examples of it stay.
  Status add_learned_labels(AssetId asset, const std::vector<FoundClass>& labels);
  // Replaces what was found for this label in all assets; only those that change are indexed anew.
  Status set_label_findings(const std::string& name, const std::vector<LabelFinding>& findings);
  // With its examples and findings. kNotFound when there is none.
  Status remove_learned_label(const std::string& name);

  // Each asset once, by one of its present files: those whose hash is unknown or that lack a wanted record.
  Result<std::vector<PendingFile>> pending(const PendingQuery& query);

  // Increments the tries when path and stage are in the ledger. Gives the number of tries.
  Result<std::int64_t> put_failure(const Failure& failure);
  Status clear_failure(const std::string& path, const std::string& stage);

  // Made by a person: kept through every analysis, and through prune() unless asked otherwise. kNotFound for an asset
  // without a hash.
  Status set_user_rating(AssetId asset, std::optional<int> rating);
  Status add_label(AssetId asset, const std::string& label);
  Status remove_label(AssetId asset, const std::string& label);

 private:
  struct State;
  explicit CatalogueWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::store
