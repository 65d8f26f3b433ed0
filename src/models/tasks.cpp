#include "models/tasks.h"

#include <algorithm>
#include <iterator>

namespace image_engine::models {
namespace {

// The gates for detectors' raw outputs are looser than for the resulting boxes.
constexpr Task kTasks[] = {
    {"objects", 0.99, 0.97, true, PictureAnswer::kObjects},
    {"embedding", 0.999, 0.99, false, PictureAnswer::kVector},
    {"features", 0.999, 0.99, false, PictureAnswer::kVector},
    {"scene", 0.999, 0.99, false, PictureAnswer::kLabel},
    {"faces", 0.99, 0.97},
    {"text", 0.995, 0.99},
    {"actions", 0.999, 0.99},
    {"segmentation", 0.999, 0.99},
    {kPromptedTask, 0.999, 0.99, false, PictureAnswer::kNone, true},
    {"sentences"},
    {"speech"},
    {"voice-activity"},
    {"audio-tagging"},
    {"sound-events"},
};
constexpr Task kOtherTask;
constexpr double kOtherCosine = 0.9999;  // least at fp32, by another program or on another device

}  // namespace

const Task& task_of(std::string_view name) {
  const auto* const row = std::ranges::find(kTasks, name, &Task::name);
  return row == std::end(kTasks) ? kOtherTask : *row;
}

Gate default_gate(std::string_view task, std::string_view precision) {
  const Task& row = task_of(task);
  if (precision == "fp16") return {row.fp16_cosine, 0};
  if (precision == "int8") return {row.int8_cosine, 0};
  return {kOtherCosine, 0};
}

}  // namespace image_engine::models
