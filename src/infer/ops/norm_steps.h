// What a thread does for a row's norm: the same arithmetic on the CPU and on a GPU, but the order of the row's sums.
#pragma once

#include "infer/ops/chain_steps.h"
#include "infer/ops/norm.h"

namespace image_engine::infer {

// A thread's part of a row: the words `thread`, `thread` + threads, …
struct NormPart {
  Lane lanes[kNormWords];
};

// Where word `k` of a thread begins in its row; the row's size or more where there is none.
IE_HOST_DEVICE inline std::uint32_t norm_place(const RowNorm& work, std::uint32_t thread, std::uint32_t k) {
  return (thread + k * work.threads) * kLanes;
}

template <typename Number>
IE_HOST_DEVICE void add_numbers(const void* data, std::size_t place, Lane& lane) {
  Lane other;
  read_wide(static_cast<const Number*>(data) + place, other.values);
  join(lane, other, [](float x, float o) { return x + o; });
}

// Reads what is to be normalized, and writes the sum where it is needed.
template <typename Number>
IE_HOST_DEVICE NormPart read_part(const RowNorm& work, std::uint32_t row, std::uint32_t thread) {
  NormPart part{};
  IE_UNROLL
  for (std::uint32_t k = 0; k < kNormWords; ++k) {
    const std::uint32_t place = norm_place(work, thread, k);
    if (place >= work.channels) continue;
    const std::size_t at = std::size_t{row} * work.channels + place;
    read_wide(static_cast<const Number*>(work.rows) + at, part.lanes[k].values);
    if (work.added != nullptr) add_numbers<Number>(work.added, at, part.lanes[k]);
    if (work.bias != nullptr) add_numbers<Number>(work.bias, place, part.lanes[k]);
    if (work.sum != nullptr) write_wide(part.lanes[k].values, static_cast<Number*>(work.sum) + at);
  }
  return part;
}

// Of the squares of the differences to `mean`; of the numbers themselves with of_squares = false.
IE_HOST_DEVICE inline float part_sum(const RowNorm& work, const NormPart& part, std::uint32_t thread, float mean,
                                     bool of_squares) {
  float sum = 0;
  IE_UNROLL
  for (std::uint32_t k = 0; k < kNormWords; ++k) {
    if (norm_place(work, thread, k) >= work.channels) continue;
    IE_UNROLL
    for (std::uint32_t i = 0; i < kLanes; ++i) {
      const float difference = part.lanes[k].values[i] - mean;
      sum += of_squares ? difference * difference : difference;
    }
  }
  return sum;
}

template <typename Number>
IE_HOST_DEVICE void write_part(const RowNorm& work, std::uint32_t row, std::uint32_t thread, NormPart& part, float mean,
                               float variance) {
  const float factor = 1 / sqrtf(variance + work.epsilon);
  IE_UNROLL
  for (std::uint32_t k = 0; k < kNormWords; ++k) {
    const std::uint32_t place = norm_place(work, thread, k);
    if (place >= work.channels) continue;
    Lane gain;
    read_wide(static_cast<const Number*>(work.gain) + place, gain.values);
    join(part.lanes[k], gain, [=](float x, float o) { return (x - mean) * factor * o; });
    add_numbers<Number>(work.shift, place, part.lanes[k]);
    write_wide(part.lanes[k].values, static_cast<Number*>(work.result) + std::size_t{row} * work.channels + place);
  }
}

}  // namespace image_engine::infer
