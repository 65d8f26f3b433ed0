// What is made of a decoded picture: the reduced picture, its luma, a thumbnail, and the reply with them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/result.h"
#include "gpu/kernels/condense.h"
#include "gpu/kernels/resample.h"
#include "worker/gpu_process/model_inputs.h"
#include "worker/gpu_process/waiting.h"

namespace image_engine::worker {

// Where a picture's results lie in a batch's memory, bytes from its start.
struct Results {
  gpu::PictureSize size, small;
  std::size_t rgb = 0, luma = 0, condensed = 0, thumbnail = 0, end = 0;
  bool has_luma = false, has_condensed = false, has_thumbnail = false;
};

// What is run for a batch, in this order.
struct BatchTasks {
  std::vector<gpu::ResampleTask> reduce;
  std::vector<gpu::ResampleTask> shrink;
  std::vector<gpu::CondenseTask> condense;
};

// The job's results from `begin` on.
Results lay_out(const Job& job, std::size_t begin);

// Adds what makes the results at `memory`, the batch's, and the models' inputs where the job has an area for them and
// its picture needs no conversion of colours; `inputs` may be null.
void add_tasks(Job& job, const Results& results, std::byte* memory, const ModelInputs* inputs, BatchTasks& tasks);

// Places the results, now in the host's memory, in the slot, and describes them in the job's reply. Converts colours by
// the picture's profile. An error: the CPU is to decode it.
Status fill_reply(Job& job, const Results& results, const std::byte* memory, std::span<std::byte> slot);

}  // namespace image_engine::worker
