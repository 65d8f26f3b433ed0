#include "gpu/kernels/batch.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "gpu/kernels/steps.h"

namespace image_engine::gpu {
namespace {

constexpr std::uint32_t kLongestEdge = 65535;
// Of one launch, unless a single task takes more: enough pictures to fill a GPU, few enough for its cache.
constexpr std::size_t kMostScratch = std::size_t{128} << 20;

// The directions in the upright picture of the stored picture's x and y steps (TIFF 6.0, Orientation: row 0 and column
// 0 are…).
struct Turn {
  bool transpose = false, flip_x = false, flip_y = false;
};
constexpr Turn kTurns[] = {{false, false, false}, {false, true, false}, {false, true, true}, {false, false, true},
                           {true, false, false},  {true, true, false},  {true, true, true},  {true, false, true}};
Turn turn_of(int orientation) { return orientation >= 1 && orientation <= 8 ? kTurns[orientation - 1] : kTurns[0]; }

// Hands out parts of the scratch memory, which need not exist.
class Arena {
 public:
  explicit Arena(std::byte* base) : base_(reinterpret_cast<std::uintptr_t>(base)) {}
  template <typename T>
  T* take(std::size_t count) {
    constexpr std::size_t kAlign = 256;
    auto* const part = reinterpret_cast<T*>(base_ + used_);  // NOLINT(performance-no-int-to-ptr): base_ may be null
    used_ = (used_ + count * sizeof(T) + kAlign - 1) / kAlign * kAlign;
    return part;
  }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  std::uintptr_t base_;
  std::size_t used_ = 0;
};

// One axis of the stored picture: which outputs are computed of how many.
struct Stretch {
  std::uint32_t in = 0;
  double extent = 0;
  std::uint64_t out = 0, begin = 0;
  std::uint32_t length = 0;
};
struct Stretches {
  Stretch across, down;
};
Stretches stretches_of(const ResampleTask& task) {
  const Turn turn = turn_of(task.picture.orientation);
  const ResamplePart& part = task.part;
  const auto begin = [](bool flip, std::uint64_t out, std::uint64_t from, std::uint32_t length) {
    return flip ? out - from - length : from;
  };
  Stretch x{0, 0, part.out_width, begin(turn.flip_x, part.out_width, part.left, part.width), part.width};
  Stretch y{0, 0, part.out_height, begin(turn.flip_y, part.out_height, part.top, part.height), part.height};
  if (turn.transpose) std::swap(x, y);
  const auto cells = [&](Stretch& stretch, std::uint32_t edge) {
    stretch.in = (edge + task.shrink - 1) / task.shrink;
    stretch.extent = static_cast<double>(edge) / task.shrink;
  };
  cells(x, task.picture.width), cells(y, task.picture.height);
  return {x, y};
}

TapReach reach_of(ResampleFilter filter, const Stretch& stretch) {
  return tap_reach(filter, {stretch.in, stretch.extent, stretch.out});
}

bool has_axis(const AxisTaps& taps, ResampleFilter filter, const Stretch& stretch) {
  return taps.filter == filter && taps.axis.in == stretch.in && taps.axis.extent == stretch.extent &&
         taps.axis.out == stretch.out && taps.begin == stretch.begin && taps.length == stretch.length;
}

// The index of the axis; pictures of one size share theirs.
std::uint32_t add_axis(ResampleFilter filter, const Stretch& stretch, Arena& arena, Batch& batch) {
  for (std::uint32_t i = 0; i < batch.axis_count; ++i)
    if (has_axis(batch.axes[i], filter, stretch)) return i;
  AxisTaps& taps = batch.axes[batch.axis_count];
  taps = {{stretch.in, stretch.extent, stretch.out}, stretch.begin, stretch.length, filter};
  taps.reach = tap_reach(filter, taps.axis);
  taps.groups = (taps.reach.stride + kTapGroup - 1) / kTapGroup;
  taps.first = arena.take<std::uint32_t>(taps.length);
  taps.count = arena.take<std::uint32_t>(taps.length);
  taps.exact = arena.take<double>(std::size_t{taps.reach.stride} * taps.length);
  taps.weights = arena.take<std::int16_t>(std::size_t{taps.groups} * kTapGroup * taps.length);
  taps.largest = arena.take<float>(1);
  taps.precision = arena.take<int>(1);
  return batch.axis_count++;
}

Target target_of(const ResampleTask& task) {
  const ResampleOutput& output = task.output;
  const Turn turn = turn_of(task.picture.orientation);
  Target target{output.data, output.type,     turn.transpose,   turn.flip_x,  turn.flip_y,  output.left,
                output.top,  task.part.width, task.part.height, output.width, output.height};
  target.pixel_step = output.planes ? 1 : 3;
  target.row_step = target.pixel_step * output.width;
  target.channel_step = output.planes ? output.width * output.height : 1;
  for (std::uint32_t c = 0; c < 3; ++c) {
    target.source[c] = output.bgr ? 2 - c : c;
    target.mean[c] = output.mean[c], target.deviation[c] = output.deviation[c], target.pad[c] = output.pad[c];
  }
  return target;
}

// A row of shared memory: the block's columns, the taps of its last output, and what is read beyond: three taps and a
// word.
std::uint32_t words_for(std::uint32_t columns, std::uint32_t taps) { return ((columns + 2 + taps) * 3 + 3) / 4 + 4; }

Job job_of(const ResampleTask& task, Arena& arena, Batch& batch) {
  const Stretches stretches = stretches_of(task);
  Job job{task.picture.rgb, task.picture.pitch, task.picture.width, task.picture.height};
  job.across = add_axis(task.filter, stretches.across, arena, batch);
  job.down = add_axis(task.filter, stretches.down, arena, batch);
  const AxisTaps& down = batch.axes[job.down];
  const TapWindow last = window_of(down, down.length - 1);
  job.row_begin = window_of(down, 0).first;
  job.row_end = last.first + last.count;
  job.shrink = task.shrink;
  const std::uint32_t taps = batch.axes[job.across].reach.stride;
  job.row_words = words_for(kSegment, taps * task.shrink);
  job.cell_words = words_for(kSegment / task.shrink, taps);
  job.middle = arena.take<std::uint32_t>(std::size_t{job.row_end - job.row_begin} * stretches.across.length);
  job.luma = static_cast<std::uint32_t*>(task.luma);
  job.target = target_of(task);
  return job;
}

// As the decoder of JPEGs chooses, but for the largest ratios.
std::uint32_t shrink_of(PictureSize full, PictureSize reduced) {
  constexpr std::uint64_t kSmall = 4'000'000;  // pixels
  const unsigned times = std::uint64_t{full.width} * full.height < kSmall ? 4 : 3;
  for (const std::uint32_t shrink : {4U, 2U})
    if (full.width >= std::uint64_t{reduced.width} * times * shrink &&
        full.height >= std::uint64_t{reduced.height} * times * shrink)
      return shrink;
  return 1;
}

bool is_aligned(const void* pointer, std::size_t to) { return reinterpret_cast<std::uintptr_t>(pointer) % to == 0; }

bool is_within(std::uint64_t left, std::uint64_t length, std::uint64_t whole) {
  return length >= 1 && length <= whole && left <= whole - length;
}

// Null when all is right.
const char* problem_of(const ResampleTask& task) {
  const DevicePicture& picture = task.picture;
  const ResamplePart& part = task.part;
  const ResampleOutput& output = task.output;
  const auto is_edge = [](std::uint32_t edge) { return edge >= 1 && edge <= kLongestEdge; };
  if (!is_edge(picture.width) || !is_edge(picture.height)) return "an edge of the picture is not 1…65535 pixels";
  if (picture.pitch < std::size_t{picture.width} * 3) return "the pitch is less than a row of the picture";
  if (picture.rgb == nullptr || !is_aligned(picture.rgb, 4)) return "the picture is not at a multiple of 4 bytes";
  if (!is_within(part.left, part.width, part.out_width) || !is_within(part.top, part.height, part.out_height))
    return "the part is empty or not within the result";
  if (!is_within(output.left, part.width, output.width) || !is_within(output.top, part.height, output.height))
    return "the part is not within the output";
  if (!is_edge(output.width) || !is_edge(output.height)) return "an edge of the output is above 65535 pixels";
  if (output.type != ElementType::kUint8 && output.type != ElementType::kFloat16 &&
      output.type != ElementType::kFloat32)
    return "the output's type is not uint8, float16 or float32";
  if (output.data == nullptr || !is_aligned(output.data, element_size(output.type))) return "the output is not aligned";
  if (task.shrink != 1 && task.shrink != 2 && task.shrink != 4) return "the picture is shrunk neither 1, 2 nor 4 times";
  if (!is_aligned(task.luma, 4)) return "the place for the luma's sums is not at a multiple of 4 bytes";
  if (reach_of(task.filter, stretches_of(task).across).stride * task.shrink > kMostTaps)
    return "the picture is reduced too much at once: reduce it in two steps";
  return nullptr;
}

}  // namespace

Status check_tasks(std::span<const ResampleTask> tasks) {
  for (std::size_t i = 0; i < tasks.size(); ++i)
    if (const char* problem = problem_of(tasks[i]))
      return fail(ErrorCode::kInvalidArgument, "resampling, task " + std::to_string(i) + ": " + problem);
  return {};
}

Filled fill_batch(std::span<const ResampleTask> tasks, std::byte* scratch, Batch& batch) {
  Arena arena(scratch);
  batch.job_count = batch.axis_count = 0;
  std::size_t used = 0;
  for (const ResampleTask& task : tasks) {
    if (batch.job_count == kMostJobs) break;
    const std::uint32_t axes = batch.axis_count;
    batch.jobs[batch.job_count] = job_of(task, arena, batch);
    if (batch.job_count > 0 && arena.used() > kMostScratch) {
      batch.axis_count = axes;
      break;
    }
    ++batch.job_count;
    used = arena.used();
  }
  return {batch.job_count, used};
}

Extents extents_of(const Batch& batch) {
  Extents extents;
  const auto raise_to = [](std::uint32_t& most, std::uint32_t value) { most = std::max(most, value); };
  for (std::uint32_t i = 0; i < batch.axis_count; ++i) raise_to(extents.axis_length, batch.axes[i].length);
  for (std::uint32_t i = 0; i < batch.job_count; ++i) {
    const Job& job = batch.jobs[i];
    raise_to(extents.segments, segments_of(job));
    raise_to(extents.row_groups, row_groups_of(job));
    raise_to(extents.part_width, batch.axes[job.across].length);
    raise_to(extents.part_height, batch.axes[job.down].length);
    const Target& target = job.target;
    if (target.part_width != target.width || target.part_height != target.height) {
      raise_to(extents.pad_width, target.width);
      raise_to(extents.pad_height, target.height);
    }
    raise_to(extents.shared_bytes, 4 * shared_words(job));
  }
  return extents;
}

PictureSize upright_size(const DevicePicture& picture) {
  return turn_of(picture.orientation).transpose ? PictureSize{picture.height, picture.width}
                                                : PictureSize{picture.width, picture.height};
}

PictureSize reduced_size(const DevicePicture& picture, std::uint32_t edge) {
  const PictureSize full = upright_size(picture);
  const std::uint32_t longer = std::max(full.width, full.height);
  if (edge == 0 || longer <= edge) return full;
  const auto scaled = [&](std::uint32_t from) {
    return std::max(1U, static_cast<std::uint32_t>((std::uint64_t{from} * edge * 2 + longer) / (2ULL * longer)));
  };
  return {scaled(full.width), scaled(full.height)};
}

ResampleTask reduce_task(const DevicePicture& picture, std::uint32_t edge, std::uint8_t* rgb, void* luma) {
  const PictureSize size = reduced_size(picture, edge);
  return {picture,
          ResampleFilter::kLanczos,
          {size.width, size.height, 0, 0, size.width, size.height},
          {rgb, ElementType::kUint8, size.width, size.height},
          luma,
          shrink_of(upright_size(picture), size)};
}

std::size_t luma_bytes(std::uint32_t width, std::uint32_t height) {
  return sizeof(LumaStatistics::histogram) +
         std::size_t{luma_cells_along(width)} * luma_cells_along(height) * sizeof(LumaCell);
}

Result<LumaStatistics> read_luma(std::uint32_t width, std::uint32_t height, std::span<const std::byte> sums) {
  if (sums.size() != luma_bytes(width, height))
    return fail(ErrorCode::kInvalidArgument, "luma's sums of another size: pass luma_bytes() of them");
  std::array<std::uint32_t, 256> histogram{};
  std::memcpy(histogram.data(), sums.data(), sizeof histogram);
  std::vector<LumaCell> cells((sums.size() - sizeof histogram) / sizeof(LumaCell));
  if (!cells.empty()) std::memcpy(cells.data(), sums.data() + sizeof histogram, cells.size() * sizeof(LumaCell));
  return luma_statistics(width, height, histogram, cells);
}

std::size_t resample_scratch(std::span<const ResampleTask> tasks) {
  const auto batch = std::make_unique<Batch>();
  std::size_t most = 0;
  while (!tasks.empty()) {
    const Filled filled = fill_batch(tasks, nullptr, *batch);
    most = std::max(most, filled.bytes);
    tasks = tasks.subspan(filled.tasks);
  }
  return most;
}

}  // namespace image_engine::gpu
