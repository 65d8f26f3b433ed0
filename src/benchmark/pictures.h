// The photos for benchmarks: decoded once, before anything is timed.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "preprocess/plan.h"
#include "types/image.h"

namespace image_engine::benchmark {

struct SamplePicture {
  std::string path;
  Image picture;              // upright, perhaps reduced
  preprocess::FullSize full;  // of the photo
};

struct SamplePictures {
  std::string folder;
  std::vector<SamplePicture> pictures;  // at least one; in the order of their paths
  std::size_t unreadable = 0;           // photos that were skipped
  double decode_ms = 0;                 // per photo, in one worker
};

struct SampleRequest {
  std::string folder;  // empty: the samples of the source tree that this program was built in
  std::size_t limit = 100;
  std::uint32_t edge = 0;  // the longer edge that models need, pixels; 0: full size
  bool progress = false;   // on stderr
  std::stop_token stop;
};

// `limit` photos, spread evenly over all in and below the folder. Errors: kNotFound (no such folder, no photo in it
// that can be decoded), kInterrupted, those of worker::Pool.
Result<SamplePictures> load_samples(const SampleRequest& request, const Config& config);

// A hash of their paths and sizes, in hex.
std::string samples_hash(const SamplePictures& samples);

}  // namespace image_engine::benchmark
