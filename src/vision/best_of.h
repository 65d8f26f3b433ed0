// Chooses which of several versions of a picture to keep, with reasons.
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
  std::optional<Quality> quality;  // without it, quality is not compared
  std::optional<int> rating;       // −1 rejected, 0…5
  std::uint32_t keywords = 0;
  bool has_gps = false;
  bool has_taken = false;
  bool raw = false;       // sensor data
  bool lossless = false;  // PNG, TIFF and the like; raw need not set it
  std::uint64_t bytes = 0;
};

struct Choice {
  std::size_t best = 0;  // index into the candidates
  // Its advantages over the next best, by weight: "rated higher", "more pixels", "sharper", "has GPS". Without any, the
  // single reason "no better, but first". Empty for a single candidate.
  std::vector<std::string> reasons;
};

// The candidate with the greatest sum over a fixed table of criteria; among equals the first. `candidates` must not be
// empty.
Choice choose_best(std::span<const Candidate> candidates);

}  // namespace image_engine::vision
