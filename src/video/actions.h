// What happens in a video, from guesses for windows of its frames.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace image_engine::video {

struct ActionGuess {
  std::string action;
  double confidence = 0;  // 0…1
};

// What was guessed for a time range, seconds of presentation time, `to` exclusive.
struct ActionWindow {
  double from = 0, to = 0;
  std::vector<ActionGuess> guesses;
};

struct ActionSpan {
  std::string action;
  double confidence = 0;  // of the surest window
  double from = 0, to = 0;
};

// More actions than this are not believed of one window.
inline constexpr std::size_t kMostActionsAtOnce = 3;

// The guesses with at least that confidence, the surest first, at most kMostActionsAtOnce.
std::vector<ActionGuess> sure_guesses(std::span<const ActionGuess> guesses, double least);

// Each action once for each time that it lasts: windows one behind the other with the same action are one span. By
// time, then the surest first. `windows`: by time.
std::vector<ActionSpan> action_spans(std::span<const ActionWindow> windows);

}  // namespace image_engine::video
