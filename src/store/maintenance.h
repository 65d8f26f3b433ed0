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
  std::vector<std::string> problems;  // for a person; empty when nothing is wrong
  std::int64_t assets = 0, files = 0, records = 0;
};
// Pages, foreign keys, text index, orphans. Reads all of the catalogue, writes nothing. Fails only when the catalogue
// cannot be opened.
Result<CheckReport> check(const std::string& catalogue_path);

// A consistent copy, mode 0600, even while another process writes. kInvalidArgument when `target` exists and not
// `overwrite`.
Status backup(const std::string& catalogue_path, const std::string& target, bool overwrite);

struct RelocateReport {
  std::int64_t files = 0;  // whose path starts with the old prefix (a whole folder name)
  std::int64_t failures = 0;
};
// Changes the path prefix of files that were moved together. kInvalidArgument, with nothing changed, when a path under
// the new prefix is already catalogued. `dry_run` only counts.
Result<RelocateReport> relocate(const std::string& catalogue_path, const WriterLock& lock,
                                const std::string& old_prefix, const std::string& new_prefix, bool dry_run);

struct PruneOptions {
  std::string root;        // only files at or below it; empty: all
  bool user_data = false;  // also a person's ratings and labels of the deleted assets
  bool dry_run = false;
};
struct PruneReport {
  std::int64_t files = 0;     // missing or excluded
  std::int64_t assets = 0;    // without a file
  std::int64_t records = 0;   // of these assets, and those replaced by a newer version of their stage
  std::int64_t failures = 0;  // of deleted files
  std::int64_t user_data = 0;
  std::int64_t freed_bytes = 0;   // of the catalogue's file
  std::vector<Hash128> pictures;  // of the deleted assets: their thumbnails may be deleted
};
// Shrinks the catalogue's file if the disk has room for a second copy; else the freed space is reused later. Assets
// that are examples of a label keep their vectors, unless `user_data`.
Result<PruneReport> prune(const std::string& catalogue_path, const WriterLock& lock, const PruneOptions& options);

}  // namespace image_engine::store
