// Compares versions of a picture: which one to keep, and what another one has that it lacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "types/metadata.h"
#include "vision/quality.h"

namespace image_engine::vision {

struct Candidate {
  Metadata metadata;               // of the file; width and height are the full picture's
  std::optional<Quality> quality;  // without it, detail is not compared
  std::uint64_t bytes = 0;         // of the file
  std::optional<int> rating;       // −1 rejected, 0…5
  // What a person said of it: keywords and labels, and a title that replaces the file's.
  std::vector<std::string> words;
  std::string title;
  std::string clip;  // names the one of a Live Photo or motion photo; empty: it has none
  bool has_sidecar = false;
  bool is_partial = false;  // truncated
};

// The sum by which the best is chosen, over a fixed table of criteria. A person's rating weighs most, then raw data, a
// clip, time, GPS and detail.
double merit(const Candidate& candidate);

// What `a` has and `b` lacks, the weightiest first: "rated higher", "more detail", "has GPS", "lossless", …
// Detail is compared at one size: pixels that were only interpolated are none.
std::vector<std::string> advantages(const Candidate& a, const Candidate& b);

// Whether one of those advantages makes `a` the better one for certain. Others (more bytes, lossless coding, more
// colours, a sharper picture of the same size) may come from saving a worse file anew, and what was developed from raw
// data may be a person's work: they only tell that `a` is not the same.
bool is_really_better(const Candidate& a, const Candidate& b);

struct Choice {
  std::size_t best = 0;              // index into the candidates
  std::vector<std::string> reasons;  // its advantages over the next best; empty for a single candidate
};
inline constexpr char kNoBetter[] = "no better, but first";

// The candidate of the greatest merit; among equals the first. Without an advantage over the next best the single
// reason is kNoBetter. `candidates` must not be empty.
Choice choose_best(std::span<const Candidate> candidates);

}  // namespace image_engine::vision
