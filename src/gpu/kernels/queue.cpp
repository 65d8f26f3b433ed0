#include "gpu/kernels/queue.h"

#include "gpu/kernels/condense_batch.h"

#include <memory>
#include <string>

namespace image_engine::gpu {

static_assert(sizeof(Batch) <= 32764, "CUDA's limit for a kernel's arguments");

Status resample(std::span<const ResampleTask> tasks, Scratch scratch, void* stream) {
  IE_CHECK(check_tasks(tasks));
  const std::size_t needed = resample_scratch(tasks);
  if (scratch.bytes < needed || reinterpret_cast<std::uintptr_t>(scratch.data) % 256 != 0)
    return fail(ErrorCode::kInvalidArgument, "resampling takes " + std::to_string(needed) +
                                                 " bytes of scratch memory at a multiple of 256, not " +
                                                 std::to_string(scratch.bytes));
  const auto batch = std::make_unique<Batch>();
  while (!tasks.empty()) {
    const Filled filled = fill_batch(tasks, static_cast<std::byte*>(scratch.data), *batch);
    if (const char* problem = queue_batch(*batch, extents_of(*batch), stream))
      return fail(ErrorCode::kInternal, std::string("resampling on the GPU: ") + problem);
    tasks = tasks.subspan(filled.tasks);
  }
  return {};
}

Status condense(std::span<const CondenseTask> tasks, Scratch scratch, void* stream) {
  IE_CHECK(check_condense(tasks));
  const std::size_t needed = condense_scratch(tasks);
  if (scratch.bytes < needed || reinterpret_cast<std::uintptr_t>(scratch.data) % 256 != 0)
    return fail(ErrorCode::kInvalidArgument, "condensing takes " + std::to_string(needed) +
                                                 " bytes of scratch memory at a multiple of 256, not " +
                                                 std::to_string(scratch.bytes));
  while (!tasks.empty()) {
    const auto batch = std::make_unique<CondenseBatch>(condense_batch(tasks, static_cast<std::byte*>(scratch.data)));
    if (const char* problem = queue_condense(*batch, stream))
      return fail(ErrorCode::kInternal, std::string("condensing on the GPU: ") + problem);
    tasks = tasks.subspan(batch->count);
  }
  return {};
}

}  // namespace image_engine::gpu
