// What a thread does for deformable attention: the same arithmetic on the CPU and on a GPU.
#pragma once

#include "infer/ops/chain_steps.h"
#include "infer/ops/deformable.h"

namespace image_engine::infer {

// Threads that compute everything: each kLanes channels of a head and query.
IE_HOST_DEVICE inline std::uint32_t samples_of(const Deformable& work) {
  return work.pictures * work.queries * work.heads * (work.size / kLanes);
}

IE_HOST_DEVICE inline float number_of(const void* data, bool is_half, std::size_t i) {
  return is_half ? float_from(static_cast<const Half*>(data)[i]) : static_cast<const float*>(data)[i];
}

// Adds what lies at (x, y), which count from the first number's centre, times `weight`. `plane` is the level's first
// place.
template <typename Number>
IE_HOST_DEVICE void add_sample(const DeformableLevel& level, const Number* plane, std::size_t pitch, float x, float y,
                               float weight, Lane& sum) {
  // Also false for NaN, and where nothing around is inside.
  if (!(x > -1 && y > -1 && x < static_cast<float>(level.width) && y < static_cast<float>(level.height))) return;
  const float left = floorf(x), top = floorf(y), right_part = x - left, low_part = y - top;
  const auto column = static_cast<std::int32_t>(left), line = static_cast<std::int32_t>(top);
  IE_UNROLL
  for (std::int32_t i = 0; i < 4; ++i) {
    const std::int32_t at_x = column + (i & 1), at_y = line + (i >> 1);
    if (at_x < 0 || at_y < 0 || at_x >= static_cast<std::int32_t>(level.width) ||
        at_y >= static_cast<std::int32_t>(level.height))
      continue;
    const float part =
        weight * ((i & 1) != 0 ? right_part : 1 - right_part) * ((i >> 1) != 0 ? low_part : 1 - low_part);
    Lane numbers;
    read_wide(plane + (static_cast<std::size_t>(at_y) * level.width + static_cast<std::size_t>(at_x)) * pitch,
              numbers.values);
    join(sum, numbers, [part](float a, float b) { return a + part * b; });
  }
}

template <typename Number>
IE_HOST_DEVICE void sample_as(const Deformable& work, std::uint32_t index) {
  const std::uint32_t groups = work.size / kLanes, head_index = index / groups, head = head_index % work.heads;
  const std::uint32_t channel = head * work.size + index % groups * kLanes;
  const std::uint32_t query = head_index / work.heads, picture = query / work.queries;
  const std::size_t pitch = std::size_t{work.heads} * work.size;
  const Number* rows = static_cast<const Number*>(work.rows) + std::size_t{picture} * work.places * pitch + channel;
  Lane sum{};
  std::size_t point = std::size_t{head_index} * work.all_points;
  for (std::uint32_t i = 0; i < work.level_count; ++i) {
    const DeformableLevel& level = work.levels[i];
    for (std::uint32_t k = 0; k < level.points; ++k, ++point) {
      const float x = number_of(work.points, work.points_half, 2 * point);
      const float y = number_of(work.points, work.points_half, 2 * point + 1);
      add_sample(level, rows + level.first * pitch, pitch, ((x + 1) * static_cast<float>(level.width) - 1) / 2,
                 ((y + 1) * static_cast<float>(level.height) - 1) / 2,
                 number_of(work.weights, work.weights_half, point), sum);
    }
  }
  const std::size_t place = std::size_t{query} * pitch + channel;
  if (work.is_half) return write_wide(sum.values, static_cast<Half*>(work.result) + place);
  write_wide(sum.values, static_cast<float*>(work.result) + place);
}

// `index` is less than samples_of().
IE_HOST_DEVICE inline void run_sample(const Deformable& work, std::uint32_t index) {
  if (work.rows_half) return sample_as<Half>(work, index);
  sample_as<float>(work, index);
}

}  // namespace image_engine::infer
