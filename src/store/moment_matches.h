// From what holds at single moments to the times that a search reports.
#pragma once

#include <cstdint>
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
  std::vector<Why> why;         // of all but the words
  std::vector<SpeechHit> hits;  // of the words said, by time
};

// The times at which as many conditions hold as at any. What is said is a time of its own, with what is seen and heard
// while it is said; these come first, by time. Frames one after the other are one time, the surest first. A time with
// hits has neither their quotes nor the time of their words yet.
struct MatchedTime {
  FoundMoment moment;
  std::vector<SpeechHit> hits;
};
std::vector<MatchedTime> matched_times(std::vector<MomentMatch> matches);

}  // namespace image_engine::store
