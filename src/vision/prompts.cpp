#include "vision/prompts.h"

#include <fmt/format.h>

namespace image_engine::vision {

Status check_prompts(const Prompts& prompts, std::uint32_t width, std::uint32_t height) {
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  const auto outside = [&](std::string what) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} is not in the photo, which has {} × {} pixels when it is upright", what, width, height));
  };
  for (const PromptPoint& point : prompts.points)
    if (!(point.x >= 0 && point.y >= 0 && point.x < w && point.y < h))
      return outside(fmt::format("the point {},{}", point.x, point.y));
  if (!prompts.box) return {};
  const Box& box = *prompts.box;
  const bool is_within =
      box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0 && box.x + box.width <= w && box.y + box.height <= h;
  return is_within ? Status{} : outside(fmt::format("the box {},{},{},{}", box.x, box.y, box.width, box.height));
}

}  // namespace image_engine::vision
