// Queues the launches of one batch.
#pragma once

#include "gpu/kernels/batch.h"

namespace image_engine::gpu {

// Null, or CUDA's message. `stream` is a cudaStream_t.
const char* queue_batch(const Batch& batch, const Extents& extents, void* stream);

}  // namespace image_engine::gpu
