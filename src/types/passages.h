// Speech in parts that are long enough to have a meaning and short enough to have only one.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "types/transcript.h"

namespace image_engine {

// Consecutive segments of speech.
struct Passage {
  std::size_t first = 0;    // index of its first segment
  double from = 0, to = 0;  // seconds of presentation time
  std::string text;         // of its segments, with blanks between them
};

// The passages of speech whose segments are in the order of time. A passage takes the next segment while it stays
// within kLongestPassage and kMostCharacters and there is no pause of kLongestPause before it; a longer segment is a
// passage of its own. Segments without text belong to none. Each passage depends only on segments from its first one
// on.
std::vector<Passage> passages_of(std::span<const SpeechSegment> segments);

inline constexpr double kLongestPassage = 15;  // seconds
inline constexpr double kLongestPause = 5;     // seconds
inline constexpr std::size_t kMostCharacters = 200;
// A passage has at most so many segments, those without text counted.
inline constexpr std::size_t kMostSegments = 32;
// Changes whenever other passages result from the same speech.
inline constexpr char kPassagesVersion[] = "1";

}  // namespace image_engine
