// `image-engine catalog check|backup|relocate|prune`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/hash.h"
#include "core/result.h"
#include "store/writer_lock.h"

namespace image_engine::store {

struct CheckReport {
  std::vector<std::string> problems;  // for a person; empty when all is well
  std::int64_t assets = 0, files = 0, records = 0;
};
// Pages, foreign keys, text index, orphans. Reads all of the catalogue, writes nothing.
// An error only when it cannot be opened at all.
Result<CheckReport> check(const std::string& catalogue_path);

// A consistent copy, while others write, mode 0600. kInvalidArgument when `target` exists and not `overwrite`.
Status backup(const std::string& catalogue_path, const std::string& target, bool overwrite);

struct RelocateReport {
  std::int64_t files = 0;  // whose path starts with the old prefix (a whole folder name)
  std::int64_t failures = 0;
};
// Files that were moved together: changes the prefix of their paths. kInvalidArgument, with nothing changed, when a
// path under the new prefix is already catalogued. `dry_run` only counts.
Result<RelocateReport> relocate(const std::string& catalogue_path, const WriterLock& lock,
                                const std::string& old_prefix, const std::string& new_prefix, bool dry_run);

struct PruneOptions {
  std::string root;        // only at or below; empty is everywhere
  bool user_data = false;  // also what people made: ratings and labels of assets that go
  bool dry_run = false;
};
struct PruneReport {
  std::int64_t files = 0;     // missing or excluded
  std::int64_t assets = 0;    // without a file
  std::int64_t records = 0;   // of those, and those replaced by a newer version of their stage
  std::int64_t failures = 0;  // of files that are gone
  std::int64_t user_data = 0;
  std::int64_t freed_bytes = 0;   // of the catalogue's file
  std::vector<Hash128> pictures;  // of the assets that went: their thumbnails may go
};
// Gives the room back to the disk, where there is enough of it to write the catalogue anew; else what is free is used
// again. Assets that teach a label stay with their vectors, unless `user_data`.
Result<PruneReport> prune(const std::string& catalogue_path, const WriterLock& lock, const PruneOptions& options);

}  // namespace image_engine::store
