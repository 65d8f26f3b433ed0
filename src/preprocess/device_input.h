// A plan's input made on a GPU, from a picture in its memory.
#pragma once

#include "gpu/kernels/resample.h"
#include "preprocess/plan.h"

namespace image_engine::preprocess {

struct DeviceInput {
  gpu::ResampleTask task;  // for gpu::resample()
  InputSize input;
  Placement placement;  // of the upright picture
};
// As prepare() of the upright picture, into one item of a batch: `out` has 3 × H × W elements of `type`, which is the
// plan's, or kFloat16 where the plan's is kFloat32. Of an upright picture the numbers are prepare()'s. Of others the
// picture is turned last, not first: rounding differs, by 0.3 of 255 on average at most, by a few levels at hard edges.
// `full` as in prepare(). kInvalidArgument: an empty picture, an invalid plan, another type. Thread-safe.
Result<DeviceInput> device_input(const Plan& plan, const gpu::DevicePicture& picture, void* out, ElementType type,
                                 FullSize full = {});

}  // namespace image_engine::preprocess
