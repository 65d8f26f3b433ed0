// A detector's look at a grey picture, for the tests of detectors.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/ok.h"
#include "vision/objects.h"

namespace image_engine::vision {

inline std::vector<DetectedObject> detect(const ObjectDetector& detector, std::uint32_t width, std::uint32_t height,
                                          std::uint32_t full_width, std::uint32_t full_height) {
  const std::vector<std::uint8_t> pixels(std::size_t{width} * height * 3, 90);
  auto found = detector.detect({width, height, pixels}, full_width, full_height);
  EXPECT_OK(found);
  return found ? *found : std::vector<DetectedObject>{};
}

}  // namespace image_engine::vision
