#include "gpu/kernels/condense_batch.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace image_engine::gpu {
namespace {

std::size_t rounded_up(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

// Bytes of a picture's scratch memory, one part behind the other.
struct CondenseParts {
  std::size_t across, down, middle;
  explicit CondenseParts(PictureSize size)
      : across(rounded_up(std::size_t{size.width} * kOutputsAcross * sizeof(std::int32_t))),
        down(rounded_up(std::size_t{size.height} * kOutputsDown * sizeof(std::int32_t))),
        middle(rounded_up(std::size_t{size.height} * kOutputsAcross)) {}
  [[nodiscard]] std::size_t all() const { return across + down + middle; }
};

}  // namespace

bool can_condense(PictureSize size) {
  constexpr std::uint32_t kMostPixels = 4096;
  if (std::min(size.width, size.height) <= kHashEdge || std::max(size.width, size.height) > kMostPixels) return false;
  const auto is_across_first = [&](std::uint32_t width, std::uint32_t height) {
    return size.height - height <= 2 * (size.width - width);
  };
  return is_across_first(kHashWidth, kHashHeight) && is_across_first(kHashEdge, kHashEdge);
}

std::size_t condense_scratch(std::span<const CondenseTask> tasks) {
  std::size_t most = 0;
  for (std::size_t first = 0; first < tasks.size(); first += kMostCondensed) {
    std::size_t bytes = 0;
    for (const CondenseTask& task : tasks.subspan(first, std::min<std::size_t>(kMostCondensed, tasks.size() - first)))
      bytes += CondenseParts(task.size).all();
    most = std::max(most, bytes);
  }
  return most;
}

CondenseBatch condense_batch(std::span<const CondenseTask> tasks, std::byte* scratch) {
  CondenseBatch batch;
  for (const CondenseTask& task : tasks.first(std::min<std::size_t>(kMostCondensed, tasks.size()))) {
    const CondenseParts parts(task.size);
    batch.jobs[batch.count++] = {task.rgb,
                                 task.size.width,
                                 task.size.height,
                                 task.result,
                                 reinterpret_cast<std::int32_t*>(scratch),
                                 reinterpret_cast<std::int32_t*>(scratch + parts.across),
                                 reinterpret_cast<std::uint8_t*>(scratch + parts.across + parts.down)};
    scratch += parts.all();
  }
  return batch;
}

Status check_condense(std::span<const CondenseTask> tasks) {
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const CondenseTask& task = tasks[i];
    if (!can_condense(task.size) || task.rgb == nullptr || task.result == nullptr)
      return fail(ErrorCode::kInvalidArgument,
                  "condensing, task " + std::to_string(i) +
                      ": no picture, no place for the result, or a size that is not taken");
  }
  return {};
}

Status condense_on_host(std::span<const CondenseTask> tasks) {
  IE_CHECK(check_condense(tasks));
  std::vector<std::byte> scratch(condense_scratch(tasks));
  const auto each = [](std::uint32_t count, const auto& step) {
    for (std::uint32_t i = 0; i < count; ++i) step(i);
  };
  for (const CondenseTask& task : tasks) {
    const CondenseBatch batch = condense_batch({&task, 1}, scratch.data());
    const CondenseJob& job = batch.jobs[0];
    each(kOutputsAcross + kOutputsDown, [&](std::uint32_t i) { begin_condensing(job, i); });
    each(job.height * kOutputsAcross, [&](std::uint32_t i) { condense_across(job, i); });
    each(kCondensedLevels, [&](std::uint32_t i) { condense_down(job, i); });
    each(job.height * kColourParts, [&](std::uint32_t i) { add_colours(job, i); });
    each(rows_compared(job.height), [&](std::uint32_t i) { compare_row(job, i); });
  }
  return {};
}

}  // namespace image_engine::gpu
