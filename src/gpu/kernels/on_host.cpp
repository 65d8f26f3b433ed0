#include <memory>
#include <vector>

#include "gpu/kernels/steps.h"

namespace image_engine::gpu {
namespace {

template <typename Run>
void for_threads(const Run& run) {
  for (std::uint32_t thread = 0; thread < kThreads; ++thread) run(thread);
}

void run_block(const AcrossBlock& block, bool with_luma) {
  std::vector<ThreadLuma> luma(kThreads);
  for_threads([&](std::uint32_t thread) { block.begin(thread); });
  for (std::uint32_t y = block.rows_begin(); y < block.rows_end(); y += kStagedRows) {
    for_threads([&](std::uint32_t thread) { block.stage(y, thread); });
    for_threads([&](std::uint32_t thread) { block.take(y, thread, luma[thread]); });
    for_threads([&](std::uint32_t thread) { block.reduce(y, thread); });
  }
  if (!with_luma) return;
  for_threads([&](std::uint32_t thread) { block.leave(thread, luma[thread]); });
  for_threads([&](std::uint32_t thread) { block.finish(thread); });
}

void run_job(const Batch& batch, const Job& job, std::uint32_t shared_bytes) {
  for (std::uint32_t group = 0; group < row_groups_of(job); ++group)
    for (std::uint32_t segment = 0; segment < segments_of(job); ++segment) {
      std::vector<std::uint32_t> shared(shared_bytes / 4);
      const AcrossBlock block(batch, job, segment, group, shared.data());
      if (block.exists()) run_block(block, job.luma != nullptr);
    }
  for (std::uint32_t y = 0; y < batch.axes[job.down].length; ++y)
    for (std::uint32_t x = 0; x < batch.axes[job.across].length; ++x) make_pixel(batch, job, x, y);
  for (std::uint32_t y = 0; y < job.target.height; ++y)
    for (std::uint32_t x = 0; x < job.target.width; ++x) make_padding(job.target, x, y);
}

void run_batch(const Batch& batch) {
  const ClearStep clear{batch};
  for (std::uint32_t block = 0; block <= batch.job_count; ++block)
    for (std::uint32_t thread = 0; thread < ClearStep::threads(); ++thread) clear.run(block, thread);
  for (std::uint32_t a = 0; a < batch.axis_count; ++a) {
    for (std::uint32_t i = 0; i < batch.axes[a].length; ++i) weigh(batch.axes[a], i);
    for (std::uint32_t i = 0; i < batch.axes[a].length; ++i) round_weights(batch.axes[a], i);
  }
  const Extents extents = extents_of(batch);
  for (std::uint32_t j = 0; j < batch.job_count; ++j) run_job(batch, batch.jobs[j], extents.shared_bytes);
}

}  // namespace

Status resample_on_host(std::span<const ResampleTask> tasks) {
  IE_CHECK(check_tasks(tasks));
  std::vector<std::byte> scratch(resample_scratch(tasks));
  const auto batch = std::make_unique<Batch>();
  while (!tasks.empty()) {
    const Filled filled = fill_batch(tasks, scratch.data(), *batch);
    run_batch(*batch);
    tasks = tasks.subspan(filled.tasks);
  }
  return {};
}

}  // namespace image_engine::gpu
