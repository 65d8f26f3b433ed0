// Models' inputs, made on the GPU of the reduced picture, in memory that the engine has mapped.
#pragma once

#include <cstddef>
#include <vector>

#include "core/result.h"
#include "gpu/kernels/resample.h"
#include "worker/gpu_process/memory.h"
#include "worker/gpu_process/waiting.h"
#include "worker/gpu_protocol.h"

namespace image_engine::worker {

struct ExportedAreas {
  GpuInputAreas layout;
  UniqueFd handle;
};

// Where each picture's inputs are. Thread-safe once made.
class ModelInputs {
 public:
  // As many areas as the memory's `bytes` hold. kInvalidArgument: a plan is wrong or has no fixed size; kOutOfMemory:
  // not one area fits.
  static Result<GpuInputAreas> lay_out(const GpuInputs& inputs, std::size_t bytes);
  // `memory`: of layout.bytes.
  ModelInputs(const GpuInputs& inputs, const GpuInputAreas& layout, std::byte* memory)
      : inputs_(inputs), layout_(layout), memory_(memory) {}

  [[nodiscard]] bool has_area(std::uint32_t area) const { return area < layout_.areas; }
  // Adds what makes all inputs of `reduced`, upright sRGB, which is of a picture of `full` size. kInvalidArgument.
  Status add_tasks(std::uint32_t area, const gpu::DevicePicture& reduced, gpu::PictureSize full,
                   std::vector<gpu::ResampleTask>& tasks) const;

 private:
  GpuInputs inputs_;
  GpuInputAreas layout_;
  std::byte* memory_;
};

}  // namespace image_engine::worker
