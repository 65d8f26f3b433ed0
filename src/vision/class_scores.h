// From a classifier's numbers to its guesses.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "vision/scenes.h"

namespace image_engine::vision {

// In place: e^(x − largest) over their sum. Not of an empty list.
void softmax(std::vector<double>& values);
// The `most` likeliest, surest first; of equal ones the first. `confidences`: by name, further ones are ignored.
std::vector<SceneGuess> best_guesses(const std::vector<std::string>& names, std::span<const double> confidences,
                                     std::size_t most);

}  // namespace image_engine::vision
