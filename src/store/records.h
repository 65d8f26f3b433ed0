// What stages found: records and facts of assets and files, and of moments below them. Parts of
// CatalogueReader and CatalogueWriter (store/catalogue.h), whose rules for threads, errors and transactions hold.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "store/facts.h"
#include "store/moments.h"
#include "store/types.h"

namespace image_engine::store {

class Connection;
struct WriterState;

class RecordReader {
 public:
  // What was found about the asset of this hash, by the keys of its records, in no order; where no asset has the hash,
  // about `otherwise`. Empty where there is neither.
  Result<std::vector<StageKey>> record_keys(const Hash128& hash, AssetId otherwise = 0) const;
  // All records of that key about assets, by asset.
  Result<std::vector<StageData>> stage_data(const StageKey& key) const;
  // Whether that stage has recorded anything about any asset.
  Result<bool> has_records(std::string_view stage) const;
  // Of subjects (FoundSubject): the names of all, each once, by name; and how that of each asset looks, by asset.
  Result<std::vector<std::string>> subject_names() const;
  Result<std::vector<StageData>> subject_looks() const;
  // Of an asset: its moments by time, what stages recorded at them, and the single things that were found.
  Result<std::vector<Moment>> moments(AssetId asset) const;
  Result<std::vector<MomentRecord>> moment_records(AssetId asset) const;
  // What that stage recorded at the moments of an asset from this one on, in their order; at most `most`.
  Result<std::vector<std::pair<Moment, std::string>>> moment_records(AssetId asset, const std::string& stage,
                                                                     MomentId first, std::size_t most) const;
  Result<std::vector<MomentThing>> moment_things(AssetId asset) const;
  Result<std::optional<AnalysisProgress>> progress(AssetId asset, std::string_view stage) const;

 protected:
  explicit RecordReader(Connection& connection) : connection_(&connection) {}

 private:
  Connection* connection_;
};

class RecordWriter {
 public:
  // Replaces the record of the same key, and puts the facts that the stage found with it. Older keys of the stage stay
  // until prune().
  Status put_record(AssetId asset, const Record& record, std::span<const Fact> facts = {});
  Status put_file_record(FileId file, const Record& record);
  // Makes what a stage found searchable; replaces what was there of its kind and field. kInvalidArgument for a field
  // that the kind does not have, or a vector whose space does not exist or has other dimensions.
  Status put_fact(AssetId asset, const Fact& fact);
  // A moment replaces the one with its number, a moment's record the one of its stage. The facts belong to that moment
  // alone and do not make the asset searchable: put_record() does that. kNotFound for a record without its moment,
  // kInvalidArgument for an invalid range, or a vector whose space does not exist or has other dimensions. A record
  // without data is none, but its facts are kept.
  Status put_moment(AssetId asset, const Moment& moment);
  Status put_moment_record(AssetId asset, const MomentRecord& record, std::span<const Fact> facts = {});
  // Deletes the moments of an asset that are numbered in this range, with what was found at them.
  Status drop_moments(AssetId asset, MomentRange range);
  // Deletes what a stage recorded at the moments of an asset, and the things of a field that were found at them.
  Status drop_moment_records(AssetId asset, const std::string& stage, std::optional<TextField> field = {});
  // Deletes the records of that stage with another key: what they describe at the asset's moments has been replaced.
  Status drop_other_records(AssetId asset, const StageKey& key);
  // Deletes that record.
  Status drop_record(AssetId asset, const StageKey& key);
  // Makes what is said in the asset searchable as one text, at the end of the batch. A record of kSpeechStage does so,
  // too. Its cost grows with the length of the whole text: while a long recording is transcribed, call it every few
  // minutes, not for each segment. Text that was dropped is removed from the index without a call.
  Status index_speech(AssetId asset);
  // The progress of that stage of an asset's analysis; nullopt: it is done.
  Status put_progress(AssetId asset, std::string_view stage, const std::optional<AnalysisProgress>& progress);

 protected:
  explicit RecordWriter(WriterState& state) : state_(&state) {}

 private:
  WriterState* state_;
};

}  // namespace image_engine::store
