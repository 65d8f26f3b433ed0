// Objects of frames between the sampled ones, looked for only where they help to follow things.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/stages.h"
#include "store/types.h"
#include "types/image.h"

namespace image_engine::pipeline {

// The record of a moment, beside those of stages, with what was found between the frame before it and it:
// [{"at": seconds, "objects": […]}].
inline constexpr char kBetweenRecord[] = "objects_between";

// A frame whose objects may be looked for later.
struct FrameBetween {
  double seconds = 0;
  Image picture;  // reduced
  std::uint32_t full_width = 0, full_height = 0;
};

// So many are kept between two sampled frames; those that follow are left out. Each has up to 1 MB.
inline constexpr std::size_t kMostBetween = 64;

// Whether things of two consecutive sampled frames can only be told apart with those between. `before`, `now`: records
// of the stage `objects`.
bool needs_frames_between(std::string_view before, std::string_view now);

// The record; `stage` is `objects`, loaded. The first error where one of them fails.
Result<std::string> objects_between(const PictureStage& stage, const std::vector<FrameBetween>& frames);

// A frame's time and objects, out of such a record.
struct ObjectsAt {
  double seconds = 0;
  std::string data;  // as a record of the stage `objects`
};
std::vector<ObjectsAt> frames_of_record(std::string_view record);

}  // namespace image_engine::pipeline
