// Finds, by their fingerprints, videos that show the same recording: re-encoded, resized or trimmed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace image_engine::video {

// All that `shorter` shows is in `longer`, at one speed.
struct SameRecording {
  std::uint32_t longer = 0, shorter = 0;  // positions in the list; of equally long ones the first is `longer`
  double offset = 0;                      // seconds of `longer` at which `shorter` begins: at least −1
  bool differs = false;                   // for some seconds: what `shorter` shows then may not be in `longer`
  auto operator<=>(const SameRecording&) const = default;
};

// All such pairs, by position. `fingerprints`: of Fingerprinter, each kPrintCells bytes a step; what is malformed, or
// shorter than five seconds, is in no pair.
//
// A pair is claimed only where the pictures tell one recording from another, since what is called the same may be
// deleted: in each two seconds in which something moves, the same must move at the same places by the same amount, and
// what does not move must look the same. Videos in which hardly anything moves, or the same again and again, are in no
// pair; nor are those that are mirrored, cropped, played at another speed, or that only share a part.
//
// The result does not depend on `threads`. Time grows with the number of steps, and with that of the pairs that are
// alike (docs/duplicates.md has figures). Memory: 32 bytes a step beside the fingerprints.
std::vector<SameRecording> same_recordings(std::span<const std::string_view> fingerprints, int threads);

}  // namespace image_engine::video
