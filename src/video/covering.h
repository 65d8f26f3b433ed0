// Where things that were seen in some frames of a video may be in all of its frames, so that they can be hidden.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "types/box.h"

namespace image_engine::video {

struct CoveringOptions {
  double bridge = 1.5;  // seconds for which a thing may be out of sight and is still followed
  double beside = 0.5;  // seconds before the first and after the last sighting
  // How far a thing may move, in its longer edges: `reach` at once and `reach_a_second` more for each second between
  // two sightings. What moves farther is another thing.
  double reach = 1, reach_a_second = 2;
  double most_growth = 2.5;  // of the longer edge, from one sighting to the next, either way
};

// Covers more than need be, never less: between two sightings of a thing the least box around both, whatever way it
// takes between them; and before and after each sighting where it would be within `beside` if its motion continued, as
// it may turn while it is hidden.
// Not thread-safe.
class Covering {
 public:
  explicit Covering(const CoveringOptions& options = {}) : options_(options) {}

  // What was seen at `seconds` of presentation time, later than what was added before.
  void add(double seconds, std::span<const Box> boxes);

  // What to cover at that time; in no order. Complete when all sightings up to `bridge` later were added.
  [[nodiscard]] std::vector<Box> at(double seconds) const;

  [[nodiscard]] std::size_t tracks() const { return tracks_.size(); }

 private:
  struct Sighting {
    double seconds = 0;
    Box box;
  };
  using Followed = std::vector<Sighting>;  // of one thing, at least one

  [[nodiscard]] double distance(const Followed& track, double seconds, const Box& box) const;

  CoveringOptions options_;
  std::vector<Followed> tracks_;  // by first sighting
};

}  // namespace image_engine::video
