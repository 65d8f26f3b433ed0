// Which of several versions of one picture to keep, and why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vision/quality.h"

namespace image_engine::vision {

struct Candidate {
  std::uint64_t pixels = 0;        // width × height of the full picture
  std::optional<Quality> quality;  // without it, quality neither speaks for nor against
  std::optional<int> rating;       // −1 rejected, 0…5
  std::uint32_t keywords = 0;
  bool has_gps = false;
  bool has_taken = false;
  bool raw = false;       // straight from the sensor
  bool lossless = false;  // PNG, TIFF and the like; raw need not set it
  std::uint64_t bytes = 0;
};

struct Choice {
  std::size_t best = 0;  // index into the candidates
  // What it has over the next best, the weightiest first: "rated higher", "more pixels", "sharper", "has GPS". Where it
  // has nothing over it, the one reason "no better, but first".  Empty when there is just one candidate.
  std::vector<std::string> reasons;
};

// The candidate with the greatest sum over a fixed table of criteria; among equals the first. `candidates` is not
// empty.
Choice choose_best(std::span<const Candidate> candidates);

}  // namespace image_engine::vision
