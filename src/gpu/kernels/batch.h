// What one launch of the kernels works on: plain values, passed as the kernels' argument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"
#include "gpu/kernels/resample.h"
#include "types/tap_weights.h"

namespace image_engine::gpu {

inline constexpr std::uint32_t kMostJobs = 32;
inline constexpr std::uint32_t kTapGroup = 4;     // taps that are added in one step
inline constexpr std::uint32_t kMostTaps = 2048;  // of an output, horizontally: what shared memory holds

// The taps of one axis, in scratch memory. Weight k of output i is at ((k / 4) × length + i) × 4 + k % 4, so that
// neighbouring outputs' weights are neighbours; zeros beyond count[i].
struct AxisTaps {
  Axis axis;
  std::uint64_t begin = 0;   // the first computed output
  std::uint32_t length = 0;  // how many are computed
  ResampleFilter filter = ResampleFilter::kLanczos;
  TapReach reach;
  std::uint32_t groups = 0;  // of four taps, of an output
  std::uint32_t* first = nullptr;
  std::uint32_t* count = nullptr;
  double* exact = nullptr;  // reach.stride × length: tap by tap, not yet integers
  std::int16_t* weights = nullptr;
  float* largest = nullptr;  // the largest absolute weight
  int* precision = nullptr;  // precision_for() it
};

// How a stored pixel of the part becomes an element of the output.
struct Target {
  void* data = nullptr;
  ElementType type = ElementType::kUint8;
  bool transpose = false, flip_x = false, flip_y = false;
  std::uint32_t left = 0, top = 0, part_width = 0, part_height = 0;  // upright
  std::uint32_t width = 0, height = 0;
  std::uint32_t row_step = 0, pixel_step = 0, channel_step = 0;  // in elements
  std::uint32_t source[3] = {};                                  // the index in RGB of each channel
  float mean[3] = {}, deviation[3] = {}, pad[3] = {};
};

struct Job {
  const std::uint8_t* rgb = nullptr;
  std::size_t pitch = 0;
  std::uint32_t width = 0, height = 0;
  std::uint32_t across = 0, down = 0;  // indexes of axes
  std::uint32_t shrink = 1;
  std::uint32_t row_begin = 0, row_end = 0;     // the rows of cells that outputs are made of
  std::uint32_t row_words = 0, cell_words = 0;  // of shared memory, for a row of pixels, of cells
  std::uint32_t* middle = nullptr;  // those rows reduced across, a pixel a word: (y − row_begin) × length + x
  std::uint32_t* luma = nullptr;    // 256 counts and the cells, or null
  Target target;
};

struct Batch {
  std::uint32_t job_count = 0, axis_count = 0;
  Job jobs[kMostJobs];
  AxisTaps axes[2 * kMostJobs];
};

// kInvalidArgument names what is wrong with the first wrong task.
Status check_tasks(std::span<const ResampleTask> tasks);

// Fills `batch` with the first tasks, at least one, in scratch memory at `scratch` (which may be null to measure).
struct Filled {
  std::size_t tasks = 0;
  std::size_t bytes = 0;  // of scratch memory
};
Filled fill_batch(std::span<const ResampleTask> tasks, std::byte* scratch, Batch& batch);

// The most that any job or axis of the batch needs: the grids of the launches.
struct Extents {
  std::uint32_t axis_length = 0, segments = 0, row_groups = 0;
  std::uint32_t part_width = 0, part_height = 0;  // as stored
  std::uint32_t pad_width = 0, pad_height = 0;    // 0: no job has padding
  std::uint32_t shared_bytes = 0;
};
Extents extents_of(const Batch& batch);

}  // namespace image_engine::gpu
