// From what holds at single moments to the times that a search reports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "store/asset_query.h"
#include "store/moments.h"
#include "store/speech_hits.h"

namespace image_engine::store {

// What holds at one moment.
struct MomentMatch {
  MomentKind kind = MomentKind::kFrame;
  double from = 0, to = 0;
  std::uint64_t conditions = 0;  // by bit
  double confidence = 0;
  std::optional<double> relevance;  // of what was found by meaning, 0…1
  std::vector<Why> why;             // of all but the words
  std::vector<SpeechHit> hits;      // of the words said, by time
};

struct MatchedTime {
  FoundMoment moment;
  std::vector<SpeechHit> hits;
};
// The times at which as many conditions hold as at any, at most so many. What is said is a time of its own, with what
// is seen and heard while it is said; the surest of these are chosen, and come first, by time. Frames one after the
// other are one time, the surest first. A time with hits has neither their quotes nor the time of their words yet.
// Takes n log n for n moments that hardly overlap others of their kind.
std::vector<MatchedTime> matched_times(std::vector<MomentMatch> matches, std::size_t most_times);

}  // namespace image_engine::store
