#include "video/actions.h"

#include <algorithm>
#include <functional>
#include <map>
#include <tuple>

namespace image_engine::video {
namespace {

constexpr double kSameAction = 1e-2;  // seconds between the end of a window and the start of the next one

}  // namespace

std::vector<ActionGuess> sure_guesses(std::span<const ActionGuess> guesses, double least) {
  std::vector<ActionGuess> sure;
  for (const ActionGuess& guess : guesses)
    if (guess.confidence >= least) sure.push_back(guess);
  std::ranges::stable_sort(sure, std::ranges::greater{}, &ActionGuess::confidence);
  if (sure.size() > kMostActionsAtOnce) sure.resize(kMostActionsAtOnce);
  return sure;
}

std::vector<ActionSpan> action_spans(std::span<const ActionWindow> windows) {
  std::vector<ActionSpan> spans;
  std::map<std::string, std::size_t, std::less<>> last;  // the span of each action that may go on
  for (const ActionWindow& window : windows)
    for (const ActionGuess& guess : window.guesses) {
      const auto known = last.find(guess.action);
      if (known == last.end() || window.from > spans[known->second].to + kSameAction) {
        last[guess.action] = spans.size();
        spans.push_back({guess.action, guess.confidence, window.from, window.to});
        continue;
      }
      ActionSpan& span = spans[known->second];
      span.to = std::max(span.to, window.to);
      span.confidence = std::max(span.confidence, guess.confidence);
    }
  std::ranges::stable_sort(spans, {}, [](const ActionSpan& span) { return std::tuple(span.from, -span.confidence); });
  return spans;
}

}  // namespace image_engine::video
