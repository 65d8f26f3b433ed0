// What a person points at in a picture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "types/box.h"

namespace image_engine::vision {

struct PromptPoint {
  float x = 0, y = 0;     // in pixels of the upright photo, origin top left
  bool is_inside = true;  // of what is meant; else it is not part of that
};

// Points, at least one of them inside, and a box are of one thing together. A phrase stands alone.
struct Prompts {
  std::vector<PromptPoint> points;
  std::optional<Box> box;
  std::string phrase;
};

// Whether all of it lies in a picture of this size: kInvalidArgument names what does not.
Status check_prompts(const Prompts& prompts, std::uint32_t width, std::uint32_t height);

}  // namespace image_engine::vision
