// The catalogue: reading and writing it. Nobody else writes SQL. A reader or a writer belongs to one thread at a time;
// any number of readers work while one writer writes. Errors everywhere: kNoSpace (disk full: what was committed is
// kept), kCorrupt (damaged; the message names the remedy), kPermission, kIo, kBusy.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "store/asset_query.h"
#include "store/failures.h"
#include "store/files.h"
#include "store/labels.h"
#include "store/records.h"
#include "store/types.h"
#include "store/vectors.h"
#include "store/writer_lock.h"

namespace image_engine::store {

class Connection;
struct WriterState;

// The copy of a space's vectors that search/ keeps beside the catalogue for scanning. Deleted with its space.
std::string vectors_path(const std::string& catalogue, SpaceId space);

// What is read: by aggregate in the base classes, and what goes across them.
class CatalogueReader : public FileReader,
                        public RecordReader,
                        public VectorReader,
                        public LabelReader,
                        public FailureReader {
 public:
  // kNotFound: there is none at `path`. kNewer: a newer version wrote it. kUnsupported: an older version wrote it; a
  // writer upgrades it. Also works on a read-only medium.
  static Result<CatalogueReader> open(const std::string& path);
  CatalogueReader(CatalogueReader&&) noexcept;
  CatalogueReader& operator=(CatalogueReader&&) noexcept;
  ~CatalogueReader();

  // `current`: what analyze brings the catalogue up to, for StageCount::stale; without it nothing is stale.
  Result<CatalogueStatus> status(const CurrentStages& current = {}) const;
  Result<FoundAssets> find(const AssetQuery& query) const;
  // All assets that this text finds, whatever their state, each with how sure it is that it has the text, 0…1: below 1
  // where only a model has found it. Also while `more` of a query is being asked.
  Result<std::vector<std::pair<AssetId, double>>> assets_with(const TextCondition& text) const;
  // The nearest word to a text of one word that no asset has, folded, in that column or in all; empty without one, and
  // for a number. Words that begin with the same letter are compared.
  Result<std::string> nearest_word(const TextCondition& text) const;
  // Whether any asset has a record of the stage, or a fact in the column that it fills: distinguishes "nothing found"
  // from "nothing analyzed yet".
  Result<bool> is_analysed(TextField field, std::string_view stage) const;

 private:
  explicit CatalogueReader(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

// What is written, likewise.
class CatalogueWriter : public FileWriter,
                        public RecordWriter,
                        public VectorWriter,
                        public LabelWriter,
                        public FailureWriter {
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

 private:
  explicit CatalogueWriter(std::unique_ptr<WriterState> state);
  std::unique_ptr<WriterState> state_;
};

}  // namespace image_engine::store
