// What finds sounds in a recording, whichever model it has.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "types/transcript.h"

namespace image_engine::audio {

// Takes a recording in pieces as they come; how it is cut makes no difference. Memory is bounded. One thread at a time.
class SoundFinder {
 public:
  SoundFinder() = default;
  SoundFinder(const SoundFinder&) = default;
  SoundFinder(SoundFinder&&) = default;
  SoundFinder& operator=(const SoundFinder&) = default;
  SoundFinder& operator=(SoundFinder&&) = default;
  virtual ~SoundFinder() = default;

  // The next samples, mono, 16 kHz, finite, in −1…1. Returns the spans that ended, in the order of their ends, with
  // times in seconds from the recording's first sample and the mean score as confidence; spans of different classes
  // overlap. A span is returned up to a minute after it ended. Errors as Session::run(), and kCorrupt where the model
  // gives other numbers than it should.
  virtual Result<std::vector<SoundSpan>> add(std::span<const float> samples) = 0;
  // The spans that were not returned yet, when no more samples come. Then only resume() may be called.
  virtual Result<std::vector<SoundSpan>> finish() = 0;

  // Everything after what add() has returned, as JSON: resume() of another object goes on from it and finds the same
  // spans.
  [[nodiscard]] virtual std::string state() const = 0;
  // Returns the second from whose sample on the recording must be added again, at most a minute before the last one
  // that was added. kCorrupt, leaving this unchanged, for other text than state()'s, and for one of other classes.
  virtual Result<double> resume(const std::string& state) = 0;
};

}  // namespace image_engine::audio
