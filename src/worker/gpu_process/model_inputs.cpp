#include "worker/gpu_process/model_inputs.h"

#include <algorithm>

#include "preprocess/device_input.h"

namespace image_engine::worker {
namespace {

constexpr std::size_t kInputAlignment = 256;  // of what cudaMalloc() gives: any kernel may read it

std::size_t bytes_of(const preprocess::Plan& plan) {
  return std::size_t{plan.width} * plan.height * 3 * element_size(plan.type);
}

}  // namespace

Result<GpuInputAreas> ModelInputs::lay_out(const GpuInputs& inputs, std::size_t bytes) {
  if (inputs.count == 0 || inputs.count > kMostInputs)
    return fail(ErrorCode::kInvalidArgument, "no such number of models' inputs");
  GpuInputAreas layout;
  for (std::uint32_t i = 0; i < inputs.count; ++i) {
    const preprocess::Plan& plan = inputs.inputs[i].plan;
    IE_CHECK(preprocess::check_plan(plan));
    if (plan.fit == preprocess::Fit::kShortEdge)
      return fail(ErrorCode::kInvalidArgument, "an input without a fixed size");
    layout.offsets[i] = layout.step;
    layout.step += (bytes_of(plan) + kInputAlignment - 1) / kInputAlignment * kInputAlignment;
  }
  layout.areas = static_cast<std::uint32_t>(std::min<std::size_t>(bytes / layout.step, kMostAreas));
  if (layout.areas == 0) return fail(ErrorCode::kOutOfMemory, "no GPU memory for models' inputs");
  layout.bytes = bytes;
  return layout;
}

Status ModelInputs::add_tasks(std::uint32_t area, const gpu::DevicePicture& reduced, gpu::PictureSize full,
                              std::vector<gpu::ResampleTask>& tasks) const {
  std::byte* const begin = memory_ + area * layout_.step;
  for (std::uint32_t i = 0; i < inputs_.count; ++i) {
    const auto& [plan, by_full_size] = inputs_.inputs[i];
    const preprocess::FullSize size =
        by_full_size != 0 ? preprocess::FullSize{full.width, full.height} : preprocess::FullSize{};
    IE_TRY(const preprocess::DeviceInput made,
           preprocess::device_input(plan, reduced, begin + layout_.offsets[i], plan.type, size));
    tasks.push_back(made.task);
  }
  return {};
}

}  // namespace image_engine::worker
