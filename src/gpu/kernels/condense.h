// The few numbers of a picture in a GPU's memory that hashes and figures of colour are computed of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"
#include "gpu/kernels/resample.h"
#include "types/condensed.h"

namespace image_engine::gpu {

// An upright picture, rows without padding.
struct CondenseTask {
  const std::uint8_t* rgb = nullptr;
  PictureSize size;
  CondensedPicture* result = nullptr;  // in the GPU's memory, too
};

// Whether the kernels take a picture of this size. Not those under 33 pixels, above 4096, or more than twice as high as
// wide: Pillow resizes these in another order.
bool can_condense(PictureSize size);
// Bytes of device memory that condense() needs, whatever the tasks' pointers.
std::size_t condense_scratch(std::span<const CondenseTask> tasks);

// Queues all tasks on `stream` and returns; everything as with resample().
Status condense(std::span<const CondenseTask> tasks, Scratch scratch, void* stream);
// The same on the CPU, of host memory. For tests; slow. Defined in ie_gpu_resample.
Status condense_on_host(std::span<const CondenseTask> tasks);

}  // namespace image_engine::gpu
