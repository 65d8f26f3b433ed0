// Finds photos that are identical, nearly identical or of one burst, and videos that show the same recording, and which
// of them to keep.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/file_identity.h"
#include "core/result.h"
#include "store/catalogue.h"

namespace image_engine::search {

enum class DuplicateKind : std::uint8_t {
  kExact,    // files with the same coded picture or sound; of videos, with the same bytes
  kNear,     // different files that look the same, also in their colours; no animations
  kBurst,    // shot one after the other, and alike
  kVideo,    // videos that are wholly in the best one: re-encoded, resized or trimmed
  kSubject,  // the same subject before other backgrounds, by the masks of the stage segmentation: a suggestion
};
inline constexpr std::array kDuplicateKinds = {DuplicateKind::kExact, DuplicateKind::kNear, DuplicateKind::kBurst,
                                               DuplicateKind::kVideo, DuplicateKind::kSubject};
// "exact", "near", "burst", "video", "subject".
std::string_view duplicate_kind_name(DuplicateKind kind);

struct DuplicateFile {
  store::AssetId asset = 0;
  std::string path;
  std::int64_t bytes = 0;
  std::int64_t width = 0, height = 0;
  int distance = 0;  // bits in which the hash differs from the best one's
  // To the best one's file, as both are now. A group lists no file twice.
  Sameness sameness = Sameness::kUnknown;
  bool partial = false;                 // the file is truncated
  bool animated = false;                // it has more frames than the compared one
  std::vector<std::string> advantages;  // what it has and the best one lacks, in words
  std::string pair;  // of a raw file and its JPEG: the other one, which is listed in no other place of the group
  // Of a photo: whether the best one is the better one for certain.
  bool is_worse = false;
  // Of kVideo: its length in seconds; where in the best one it is, in seconds from that one's begin, unless it is all
  // of it.
  double seconds = 0;
  std::optional<std::pair<double, double>> part;
  bool silent = false;     // it has no sound, and the best one has
  bool hard_link = false;  // to an earlier file of the group: it takes no space of its own
  // For verified exact groups: whether every byte equals the best one's; nullopt when either could not be read.
  std::optional<bool> same_bytes;
  std::string twin;  // likewise: the first file of the group with the same bytes; empty: itself, or none could be read
  bool has_sidecar = false;
  // Only with DuplicateOptions::verify: deleting it loses nothing. It and the one that is kept for it are two files,
  // both unchanged since their analysis. In an exact group that is its twin, and it has no sidecar; in others the best
  // one, which lacks nothing that it has and is the better one for certain. Never of a burst or of kSubject: these are
  // different pictures; nor one half of a raw and JPEG pair alone. No group keeps a file that another marks removable.
  bool removable = false;
};

struct DuplicateGroup {
  DuplicateKind kind = DuplicateKind::kExact;
  std::vector<DuplicateFile> files;  // the best first, then by path
  std::vector<std::string> reasons;  // why the first is the best, in words
};

struct DuplicateOptions {
  store::StageKey hash_stage, quality_stage;  // whose records to read
  store::StageKey fingerprint_stage;          // likewise; without it, videos are in exact groups only
  store::StageKey thumbnail_stage;            // likewise; records which files are truncated or have several frames
  int max_distance = 6;                       // bits of 64 between any two of a near group
  double burst_seconds = 3;                   // between consecutive photos of a burst
  int burst_distance = 22;                    // bits between any photo of a burst and its first
  std::vector<DuplicateKind> kinds;           // to return; empty: all
  bool verify = false;                        // compare the bytes of exact groups, and set `removable`
  int threads = 1;
};

// Groups by kind, then by the best one's path. A file is in at most one group of a kind; a burst that is a near group
// as a whole is omitted, as are photos of one subject that are all near each other or shots of one moment. Pictures
// without contrast (blank pages, black frames) all look alike: they are in exact groups only. Several names of one file
// count as one file. A malformed record is ignored.
Result<std::vector<DuplicateGroup>> find_duplicates(const store::CatalogueReader& catalogue,
                                                    const DuplicateOptions& options);

struct SimilarPhoto {
  store::AssetId asset = 0;
  std::string path;
  int distance = 0;  // bits of 64
};

// Photos whose hash is close to any of `query` (the variants of a picture), nearest first.
Result<std::vector<SimilarPhoto>> find_similar(const store::CatalogueReader& catalogue,
                                               const store::StageKey& hash_stage,
                                               const std::vector<std::uint64_t>& query, int max_distance,
                                               std::size_t limit);

}  // namespace image_engine::search
