#include "gpu/kernels/queue.h"

#include <memory>
#include <string>

#include "gpu/kernels/condense_batch.h"

namespace image_engine::gpu {
namespace {

// `what` names the work.
Status check_scratch(const char* what, std::size_t needed, const Scratch& scratch) {
  if (scratch.bytes >= needed && reinterpret_cast<std::uintptr_t>(scratch.data) % 256 == 0) return {};
  return fail(ErrorCode::kInvalidArgument, std::string(what) + " takes " + std::to_string(needed) +
                                               " bytes of scratch memory at a multiple of 256, not " +
                                               std::to_string(scratch.bytes));
}

}  // namespace

static_assert(sizeof(Batch) <= 32764, "CUDA's limit for a kernel's arguments");

Status resample(std::span<const ResampleTask> tasks, Scratch scratch, void* stream) {
  IE_CHECK(check_tasks(tasks));
  IE_CHECK(check_scratch("resampling", resample_scratch(tasks), scratch));
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
  IE_CHECK(check_scratch("condensing", condense_scratch(tasks), scratch));
  while (!tasks.empty()) {
    const auto batch = std::make_unique<CondenseBatch>(condense_batch(tasks, static_cast<std::byte*>(scratch.data)));
    if (const char* problem = queue_condense(*batch, stream))
      return fail(ErrorCode::kInternal, std::string("condensing on the GPU: ") + problem);
    tasks = tasks.subspan(batch->count);
  }
  return {};
}

}  // namespace image_engine::gpu
