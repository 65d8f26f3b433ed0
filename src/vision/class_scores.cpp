#include "vision/class_scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace image_engine::vision {

void softmax(std::vector<double>& values) {
  const double largest = std::ranges::max(values);
  for (double& value : values) value = std::exp(value - largest);
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  for (double& value : values) value /= sum;
}

std::vector<SceneGuess> best_guesses(const std::vector<std::string>& names, std::span<const double> confidences,
                                     std::size_t most) {
  std::vector<std::size_t> order(names.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto count = static_cast<std::ptrdiff_t>(std::min(most, order.size()));
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](std::size_t a, std::size_t b) {
    return confidences[a] != confidences[b] ? confidences[a] > confidences[b] : a < b;
  });
  std::vector<SceneGuess> guesses;
  for (auto at = order.begin(); at != order.begin() + count; ++at)
    guesses.push_back({names[*at], static_cast<float>(std::clamp(confidences[*at], 0.0, 1.0))});
  return guesses;
}

}  // namespace image_engine::vision
