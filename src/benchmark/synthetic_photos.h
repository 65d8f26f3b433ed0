// Photos of no scene for benchmarks: 12-MP JPEGs as cameras write them (baseline, 4:2:0, 2.5 to 3.3 MB, Exif), each
// with other coded data. They take a few milliseconds each, as blocks of a fixed stock are put together anew: nothing
// is read, decoded or compressed.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::benchmark {

inline constexpr std::uint32_t kSyntheticWidth = 4000, kSyntheticHeight = 3000;
inline constexpr std::uint64_t kMostSyntheticBytes = 3'300'000;  // of one photo

// The file of photo `number`, always the same. Thread-safe.
std::vector<std::byte> synthetic_photo(std::uint32_t number);

struct SyntheticRequest {
  std::string folder;       // absolute; made if it is missing; holds synthetic photos only
  std::uint32_t count = 0;  // at least 1
  int threads = 1;
  bool progress = false;  // on stderr
  std::stop_token stop;
};

// What the photos will take on the disk, and what is free there, bytes. Photos that are there already take nothing.
// Errors: kInvalidArgument (the folder holds other files, or more photos than `count`), kNoSpace (they and the
// analysis do not fit), those of making the folder.
struct SyntheticSpace {
  std::uint64_t needed = 0, free = 0;
};
Result<SyntheticSpace> check_synthetic_space(const SyntheticRequest& request);

// Writes the photos that are missing or differ; the others are read, so that all are in the page cache if that is large
// enough. Gives the bytes of all. Errors: kInterrupted, those of writing.
Result<std::uint64_t> make_synthetic_photos(const SyntheticRequest& request);

}  // namespace image_engine::benchmark
