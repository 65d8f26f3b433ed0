// What each thread of the condensing kernels does, for the GPU and for the host's loops.
#pragma once

#include "gpu/kernels/condense.h"
#include "gpu/kernels/instructions.h"
#include "types/luma.h"
#include "types/pillow_lanczos.h"

namespace image_engine::gpu {

inline constexpr std::uint32_t kMostCondensed = 64;                      // pictures of a launch
inline constexpr std::uint32_t kOutputsAcross = kHashWidth + kHashEdge;  // of a row: dhash's, then phash's
inline constexpr std::uint32_t kOutputsDown = kHashHeight + kHashEdge;
inline constexpr std::uint32_t kCondensedLevels = kHashWidth * kHashHeight + kHashEdge * kHashEdge;

// One picture, and its scratch memory.
struct CondenseJob {
  const std::uint8_t* rgb = nullptr;
  std::uint32_t width = 0, height = 0;
  CondensedPicture* result = nullptr;
  std::int32_t* across = nullptr;  // weights: output × sample of the row
  std::int32_t* down = nullptr;    // output × sample of the column
  std::uint8_t* middle = nullptr;  // height × kOutputsAcross
};
struct CondenseBatch {
  std::uint32_t count = 0;
  CondenseJob jobs[kMostCondensed];
};

// Of one axis: how many outputs the two small pictures have.
struct Outputs {
  std::uint32_t for_dhash, index;
  [[nodiscard]] IE_HOST_DEVICE bool is_dhash() const { return index < for_dhash; }
  [[nodiscard]] IE_HOST_DEVICE std::uint32_t out() const { return is_dhash() ? for_dhash : kHashEdge; }
  [[nodiscard]] IE_HOST_DEVICE PillowWindow window(std::uint32_t in) const {
    return pillow_window(in, out(), is_dhash() ? index : index - for_dhash);
  }
};

IE_HOST_DEVICE inline void weigh_outputs(std::uint32_t in, Outputs output, std::int32_t* weights) {
  const PillowWindow window = output.window(in);
  double sum = 0;
  for (std::uint32_t i = window.first; i < window.end; ++i) sum += pillow_weight(window, i);
  for (std::uint32_t i = window.first; i < window.end; ++i)
    weights[std::size_t{output.index} * in + i] = pillow_fixed(pillow_weight(window, i), sum);
}

// `thread` below kOutputsAcross + kOutputsDown. Also clears what is added to.
IE_HOST_DEVICE inline void begin_condensing(const CondenseJob& job, std::uint32_t thread) {
  if (thread == 0) {
    CondensedPicture& result = *job.result;
    result.width = job.width, result.height = job.height;
    for (std::uint32_t i = 0; i < kColourParts * kColourParts * 3; ++i) result.parts.data()[i] = 0;
    result.rg = result.rg_squares = result.yb = result.yb_squares = 0;
    result.flat.compared = result.flat.same = result.flat.similar = 0;
  }
  if (thread < kOutputsAcross)
    weigh_outputs(job.width, {kHashWidth, thread}, job.across);
  else
    weigh_outputs(job.height, {kHashHeight, thread - kOutputsAcross}, job.down);
}

// `item` below height × kOutputsAcross: one output of one row.
IE_HOST_DEVICE inline void condense_across(const CondenseJob& job, std::uint32_t item) {
  const std::uint32_t y = item / kOutputsAcross, x = item % kOutputsAcross;
  const PillowWindow window = Outputs{kHashWidth, x}.window(job.width);
  const std::uint8_t* pixel = job.rgb + (std::size_t{y} * job.width + window.first) * 3;
  const std::int32_t* weights = job.across + std::size_t{x} * job.width;
  std::int32_t sum = kPillowHalf;
  for (std::uint32_t i = window.first; i < window.end; ++i, pixel += 3)
    sum += weights[i] * luma_of(pixel[0], pixel[1], pixel[2]);
  job.middle[item] = pillow_level(sum);
}

// `item` below kCondensedLevels: one pixel of one of the small pictures.
IE_HOST_DEVICE inline void condense_down(const CondenseJob& job, std::uint32_t item) {
  constexpr std::uint32_t kForDhash = kHashWidth * kHashHeight;
  const bool is_dhash = item < kForDhash;
  const std::uint32_t at = is_dhash ? item : item - kForDhash, width = is_dhash ? kHashWidth : kHashEdge;
  const std::uint32_t x = at % width + (is_dhash ? 0 : kHashWidth), y = at / width + (is_dhash ? 0 : kHashHeight);
  const PillowWindow window = Outputs{kHashHeight, y}.window(job.height);
  const std::int32_t* weights = job.down + std::size_t{y} * job.height;
  std::int32_t sum = kPillowHalf;
  for (std::uint32_t i = window.first; i < window.end; ++i)
    sum += weights[i] * job.middle[std::size_t{i} * kOutputsAcross + x];
  std::uint8_t* const levels = is_dhash ? job.result->for_dhash.data() : job.result->for_phash.data();
  levels[at] = pillow_level(sum);
}

// `item` below height × kColourParts: a row's pixels of one part.
IE_HOST_DEVICE inline void add_colours(const CondenseJob& job, std::uint32_t item) {
  const std::uint32_t y = item / kColourParts, part = item % kColourParts;
  const auto border = [&](std::uint32_t k) {
    return static_cast<std::uint32_t>(std::uint64_t{k} * job.width / kColourParts);
  };
  const std::uint8_t* pixel = job.rgb + (std::size_t{y} * job.width + border(part)) * 3;
  std::uint32_t sums[3] = {}, rg_squares = 0;
  std::uint64_t yb_squares = 0;
  std::int32_t rg = 0, yb = 0;
  for (std::uint32_t x = border(part); x < border(part + 1); ++x, pixel += 3) {
    const std::int32_t red = pixel[0], green = pixel[1], blue = pixel[2];
    const std::int32_t a = red - green, b = red + green - 2 * blue;
    for (unsigned c = 0; c < 3; ++c) sums[c] += pixel[c];
    rg += a, rg_squares += static_cast<std::uint32_t>(a * a);
    yb += b, yb_squares += static_cast<std::uint32_t>(b * b);
  }
  CondensedPicture& result = *job.result;
  const std::uint32_t row = static_cast<std::uint32_t>(std::uint64_t{y} * kColourParts / job.height);
  for (unsigned c = 0; c < 3; ++c) add_sum(result.parts.data() + (row * kColourParts + part) * 3 + c, sums[c]);
  add_sum(&result.rg, static_cast<std::uint64_t>(std::int64_t{rg}));
  add_sum(&result.rg_squares, rg_squares);
  add_sum(&result.yb, static_cast<std::uint64_t>(std::int64_t{yb}));
  add_sum(&result.yb_squares, yb_squares);
}

// `item` below the rows that are compared: one of them.
IE_HOST_DEVICE inline std::uint32_t rows_compared(std::uint32_t height) { return (height + kFlatStep - 1) / kFlatStep; }
IE_HOST_DEVICE inline void compare_row(const CondenseJob& job, std::uint32_t item) {
  const std::uint32_t y = item * kFlatStep, distance = flat_distance(job.width, job.height);
  const std::uint8_t* const row = job.rgb + std::size_t{y} * job.width * 3;
  const std::size_t below = std::size_t{distance} * job.width * 3;
  std::uint32_t compared = 0, same = 0, similar = 0;
  for (std::uint32_t x = 0; x < job.width; x += kFlatStep) {
    const std::uint8_t* const pixel = row + std::size_t{x} * 3;
    if (x + distance < job.width) compare_colours(pixel, pixel + distance * 3, compared, same, similar);
    if (y + distance < job.height) compare_colours(pixel, pixel + below, compared, same, similar);
  }
  add_sum(&job.result->flat.compared, compared);
  add_sum(&job.result->flat.same, same);
  add_sum(&job.result->flat.similar, similar);
}

}  // namespace image_engine::gpu
