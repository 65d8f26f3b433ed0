// A class learned from a few examples: a linear head on embeddings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/result.h"

namespace image_engine::search {

// Pictures below this are not of the class.
inline constexpr float kLeastConfidence = 0.5F;

struct LinearHead {
  std::vector<float> weights;  // of length-1 embeddings
  float bias = 0;
  // 0…1: logistic of weights · embedding + bias. 0 for an embedding of another length.
  [[nodiscard]] float confidence(std::span<const float> embedding) const;
};

struct TrainingSet {
  std::size_t dimensions = 0;
  std::vector<float> positive, negative;  // rows of a person's examples
  std::vector<float> background;          // rows sampled from the library: nearly all are negative
};

// Logistic regression with L2; classes are balanced, and background weighs less than a person's examples;
// deterministic. One positive example is enough. kInvalidArgument without one, for rows of another length, for NaN and
// infinity.
Result<LinearHead> train(const TrainingSet& set);

}  // namespace image_engine::search
