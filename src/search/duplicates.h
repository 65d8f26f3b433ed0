// Which photos are the same, nearly the same, or shot in one burst, and which of each to keep.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/file_identity.h"
#include "core/result.h"
#include "store/catalogue.h"

namespace image_engine::search {

enum class DuplicateKind : std::uint8_t {
  kExact,  // files with the same coded picture
  kNear,   // different files that look the same
  kBurst,  // shot one after the other, and alike
};
inline constexpr std::array kDuplicateKinds = {DuplicateKind::kExact, DuplicateKind::kNear, DuplicateKind::kBurst};
// "exact", "near", "burst".
std::string_view duplicate_kind_name(DuplicateKind kind);

struct DuplicateFile {
  store::AssetId asset = 0;
  std::string path;
  std::int64_t bytes = 0;
  std::int64_t width = 0, height = 0;
  int distance = 0;  // bits in which the hash differs from the best one's
  // To the best one's file, as both are now. A group lists no file twice.
  Sameness sameness = Sameness::kUnknown;
  bool partial = false;    // the file ends early: what is there is not the whole picture
  bool animated = false;   // it has more frames than the one that is compared
  bool hard_link = false;  // to a file of the group that stands before it: it takes no room of its own
  // Exact groups that were verified: whether every byte equals the best one's. Nothing when one of them could not be
  // read.
  std::optional<bool> same_bytes;
  // Only with DuplicateOptions::verify: deleting it loses nothing. It and the best are two files, both as they were
  // analyzed; of an exact group its bytes are the best one's; of others it has one frame, and the best is whole; and no
  // group that offers a file keeps what another offers.
  bool removable = false;
};

struct DuplicateGroup {
  DuplicateKind kind = DuplicateKind::kExact;
  std::vector<DuplicateFile> files;  // the best first, then by path
  std::vector<std::string> reasons;  // why the first is the best, in words
};

struct DuplicateOptions {
  store::StageKey hash_stage, quality_stage;  // whose records to read
  store::StageKey thumbnail_stage;            // likewise: it knows which files are cut off or have several frames
  int max_distance = 6;                       // bits of 64 between any two of a near group
  double burst_seconds = 3;                   // between one photo of a burst and the next
  int burst_distance = 22;                    // bits between any photo of a burst and its first
  std::vector<DuplicateKind> kinds;           // to give; empty: all
  bool verify = false;                        // compare the bytes of exact groups, and say what is removable
  int threads = 1;
};

// Groups by kind, then by the best one's path. A file is in one group of a kind at most; bursts leave out groups that
// are near duplicates as a whole. Pictures without contrast (blank pages, black frames) look like each other: they
// are in exact groups only. Names of one file are one file, and no group. A record that is not as its stage writes it
// counts as none.
Result<std::vector<DuplicateGroup>> find_duplicates(const store::CatalogueReader& catalogue,
                                                    const DuplicateOptions& options);

struct SimilarPhoto {
  store::AssetId asset = 0;
  std::string path;
  int distance = 0;  // bits of 64
};

// Photos whose hash is near to any of `query` (the variants of a picture), nearest first.
Result<std::vector<SimilarPhoto>> find_similar(const store::CatalogueReader& catalogue,
                                               const store::StageKey& hash_stage,
                                               const std::vector<std::uint64_t>& query, int max_distance,
                                               std::size_t limit);

}  // namespace image_engine::search
