// Prepares and queues the launches of condense().
#pragma once

#include "gpu/kernels/condense_steps.h"

namespace image_engine::gpu {

// As many of the tasks as one launch takes, with their scratch memory.
CondenseBatch condense_batch(std::span<const CondenseTask> tasks, std::byte* scratch);
// kInvalidArgument: names what is wrong.
Status check_condense(std::span<const CondenseTask> tasks);
// Null, or CUDA's message. `stream` is a cudaStream_t.
const char* queue_condense(const CondenseBatch& batch, void* stream);

}  // namespace image_engine::gpu
