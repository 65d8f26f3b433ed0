// What each thread of the kernels does, for the GPU and for the host's loops, which run the threads in turn.
#pragma once

#include "gpu/kernels/batch.h"
#include "gpu/kernels/instructions.h"

namespace image_engine::gpu {

inline constexpr std::uint32_t kThreads = 128;  // of a block
inline constexpr std::uint32_t kColumns = 4;    // whose luma a thread looks at
inline constexpr std::uint32_t kSegment = kThreads * kColumns;
inline constexpr std::uint32_t kRowGroup = LumaCell::kEdge;
inline constexpr std::uint32_t kStagedRows = 4;
inline constexpr std::uint32_t kTables = kThreads / 32;  // of counts, one a warp
inline constexpr std::uint32_t kCountWords = kTables * 256;
inline constexpr std::uint32_t kHeaderWords = 4;
inline constexpr std::uint32_t kCellFields = sizeof(LumaCell) / sizeof(std::uint32_t);
static_assert(kCellFields == 4 && sizeof(LumaCell) % sizeof(std::uint32_t) == 0);
inline constexpr std::uint32_t kThreadsOfCell = LumaCell::kEdge / kColumns;

// --- taps

// Clears what later steps add to; `thread` is below threads().
struct ClearStep {
  const Batch& batch;
  IE_HOST_DEVICE static constexpr std::uint32_t threads() { return 256; }
  // `block` below job_count + 1
  IE_HOST_DEVICE void run(std::uint32_t block, std::uint32_t thread) const {
    if (block == batch.job_count) {
      if (thread < batch.axis_count) *batch.axes[thread].largest = 0;
    } else if (batch.jobs[block].luma != nullptr) {
      batch.jobs[block].luma[thread] = 0;
    }
  }
};

// Output i's sample, of kNearest. The sum is Pillow's: on an edge, rounding decides.
IE_HOST_DEVICE inline std::uint32_t nearest_sample(const Axis& axis, double scale, std::uint64_t i) {
  double under = 0.5 * scale;
  for (std::uint64_t k = 0; k < i; ++k) under += scale;
  return static_cast<std::uint32_t>(limited(under, 0.0, axis.in - 1.0));
}

IE_HOST_DEVICE inline TapWindow window_of(const AxisTaps& taps, std::uint32_t i) {
  if (taps.filter == ResampleFilter::kNearest)
    return {0, nearest_sample(taps.axis, taps.reach.scale, taps.begin + i), 1};
  return tap_window(taps.reach, taps.axis.in, taps.begin + i);
}

// The weights of one output, as make_taps() has them.
IE_HOST_DEVICE inline void weigh(const AxisTaps& taps, std::uint32_t i) {
  const TapWindow window = window_of(taps, i);
  taps.first[i] = window.first, taps.count[i] = window.count;
  const bool nearest = taps.filter == ResampleFilter::kNearest;
  double sum = 0;
  for (std::uint32_t k = 0; k < window.count; ++k)
    sum += taps.exact[std::size_t{k} * taps.length + i] =
        nearest ? 1 : tap_weight(taps.filter, (window.first + k - window.centre + 0.5) / taps.reach.stretch);
  float largest = 0;
  for (std::uint32_t k = 0; k < window.count; ++k) {
    double& exact = taps.exact[std::size_t{k} * taps.length + i];
    const auto weight = static_cast<float>(exact / sum);
    exact = static_cast<double>(weight);
    largest = fmaxf(largest, fabsf(weight));
  }
  raise(taps.largest, largest);
}

// And as FixedTaps has them. After all of the axis are weighed.
IE_HOST_DEVICE inline void round_weights(const AxisTaps& taps, std::uint32_t i) {
  const auto set = [&](std::uint32_t k, std::int16_t weight) {
    taps.weights[(std::size_t{k / kTapGroup} * taps.length + i) * kTapGroup + k % kTapGroup] = weight;
  };
  const int precision = precision_for(*taps.largest);
  if (i == 0) *taps.precision = precision;
  round_taps(
      taps.count[i], precision,
      [&](std::uint32_t k) { return static_cast<float>(taps.exact[std::size_t{k} * taps.length + i]); }, set);
  for (std::uint32_t k = taps.count[i]; k < taps.groups * kTapGroup; ++k) set(k, 0);
}

// --- across, and luma, in one reading of the picture

IE_HOST_DEVICE inline std::uint32_t segments_of(const Job& job) {
  return job.width <= kSegment + 1 ? 1 : (job.width - 1 + kSegment - 1) / kSegment;
}
IE_HOST_DEVICE inline std::uint32_t row_groups_of(const Job& job) {
  if (job.luma == nullptr) return ((job.row_end - job.row_begin) * job.shrink + kRowGroup - 1) / kRowGroup;
  return job.height <= kRowGroup + 1 ? 1 : (job.height - 1 + kRowGroup - 1) / kRowGroup;
}

IE_HOST_DEVICE inline std::uint32_t shared_words(const Job& job) {
  return kHeaderWords + (job.luma != nullptr ? kCountWords : 0) + kStagedRows * job.row_words +
         (job.shrink == 1 ? 0 : kStagedRows / job.shrink * job.cell_words);
}

// What a thread knows of luma: its columns of the last three rows, with a neighbour on each side.
struct ThreadLuma {
  int levels[3][kColumns + 2] = {};
  LumaCell sums;
};

// A block: a segment of columns of a group of rows. Its threads call begin(); then for every kStagedRows-th y of its
// rows stage(), take() and reduce(); then leave() and finish(); each when all have done the one before. A cell is the
// mean of shrink × shrink pixels. `shared` has shared_words() of memory.
class AcrossBlock {
 public:
  IE_HOST_DEVICE AcrossBlock(const Batch& batch, const Job& job, std::uint32_t segment, std::uint32_t group,
                             std::uint32_t* shared)
      : job_(job),
        taps_(batch.axes[job.across]),
        segment_(segment),
        group_(group),
        header_(shared),
        counts_(shared + kHeaderWords),
        staged_(counts_ + (job.luma != nullptr ? kCountWords : 0)),
        cells_(staged_ + kStagedRows * job.row_words) {
    left_ = kSegment * segment;
    const std::uint32_t rows = kRowGroup / job.shrink;
    if (job.luma == nullptr) {
      cells_begin_ = job.row_begin + rows * group;
      cells_end_ = least(job.row_end, cells_begin_ + rows);
      read_begin_ = cells_begin_ * job.shrink;
      read_end_ = least(job.height, cells_end_ * job.shrink);
    } else {
      cells_begin_ = rows * group;
      cells_end_ = group + 1 < row_groups_of(job) ? cells_begin_ + rows : job.row_end;
      read_begin_ = kRowGroup * group;
      read_end_ = least(job.height, read_begin_ + kRowGroup + 2);
    }
  }

  // Whether the picture has this block.
  [[nodiscard]] IE_HOST_DEVICE bool exists() const {
    return segment_ < segments_of(job_) && group_ < row_groups_of(job_);
  }
  [[nodiscard]] IE_HOST_DEVICE std::uint32_t rows_begin() const { return read_begin_; }
  [[nodiscard]] IE_HOST_DEVICE std::uint32_t rows_end() const { return read_end_; }

  IE_HOST_DEVICE void begin(std::uint32_t thread) const {
    // The block makes the outputs whose first cell is one of its columns.
    if (thread < 2) header_[thread] = first_output(segment_ + thread);
    if (job_.luma != nullptr)
      for (std::uint32_t i = thread; i < kCountWords; i += kThreads) counts_[i] = 0;
  }

  // Copies rows from y on into shared memory.
  IE_HOST_DEVICE void stage(std::uint32_t y, std::uint32_t thread) const {
    std::uint32_t right = job_.luma != nullptr ? least(job_.width, left_ + kSegment + 2) : left_;
    const std::uint32_t needed = least(job_.width, left_ + cells_across() * job_.shrink);
    right = right < needed ? needed : right;
    const std::uint32_t words = ((right - left_) * 3 + 3) / 4;
    const std::uint8_t* const picture_end = job_.rgb + (job_.height - 1) * job_.pitch + std::size_t{job_.width} * 3;
    const std::uint8_t* const from = job_.rgb + y * job_.pitch + std::size_t{left_} * 3;
    for (std::uint32_t i = thread; i < words; i += kThreads) {
      std::uint32_t loaded[kStagedRows];  // all, before the first is stored
      for (std::uint32_t r = 0; r < kStagedRows; ++r)
        loaded[r] = y + r < read_end_ ? bytes_at(from + r * job_.pitch + std::size_t{i} * 4, picture_end) : 0;
      for (std::uint32_t r = 0; r < kStagedRows; ++r) staged_[r * job_.row_words + i] = loaded[r];
    }
  }

  // Luma, and cells.
  IE_HOST_DEVICE void take(std::uint32_t y, std::uint32_t thread, ThreadLuma& luma) const {
    if (job_.luma != nullptr)
      for (std::uint32_t r = 0; r < kStagedRows && y + r < read_end_; ++r)
        take_luma(y + r, staged_ + r * job_.row_words, thread, luma);
    if (job_.shrink == 1) return;
    const std::uint32_t across = cells_across();
    for (std::uint32_t task = thread; task < across * (kStagedRows / job_.shrink); task += kThreads)
      shrink(y, task / across, task % across);
  }

  IE_HOST_DEVICE void reduce(std::uint32_t y, std::uint32_t thread) const {
    const std::uint32_t begin = header_[0], outputs = header_[1] - begin, row_begin = y / job_.shrink;
    const std::uint32_t* const from = job_.shrink == 1 ? staged_ : cells_;
    const std::uint32_t row_words = job_.shrink == 1 ? job_.row_words : job_.cell_words;
    const int precision = *taps_.precision;
    for (std::uint32_t task = thread; task < outputs * (kStagedRows / job_.shrink); task += kThreads) {
      const std::uint32_t r = task / outputs, x = begin + task % outputs, row = row_begin + r;
      if (row < cells_begin_ || row >= cells_end_ || row < job_.row_begin || row >= job_.row_end) continue;
      job_.middle[std::size_t{row - job_.row_begin} * taps_.length + x] = reduced(x, from + r * row_words, precision);
    }
  }

  // Leaves the thread's sums in shared memory, for finish(). Only for luma.
  IE_HOST_DEVICE void leave(std::uint32_t thread, const ThreadLuma& luma) const {
    const LumaCell& sums = luma.sums;
    const std::uint32_t fields[kCellFields] = {sums.laplacian, sums.laplacian_squared, sums.noise, sums.luma};
    for (std::uint32_t f = 0; f < kCellFields; ++f) staged_[f * kThreads + thread] = fields[f];
  }

  IE_HOST_DEVICE void finish(std::uint32_t thread) const {
    for (std::uint32_t level = thread; level < 256; level += kThreads) {
      std::uint32_t count = 0;
      for (std::uint32_t t = 0; t < kTables; ++t) count += counts_[t * 256 + level];
      if (count != 0) add_count(job_.luma + level, count);
    }
    const std::uint32_t cells = kThreads / kThreadsOfCell, across = luma_cells_along(job_.width);
    if (thread >= cells * kCellFields) return;
    const std::uint32_t field = thread % kCellFields, cell = thread / kCellFields, x = segment_ * cells + cell;
    if (x >= across || group_ >= luma_cells_along(job_.height)) return;
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < kThreadsOfCell; ++i) sum += staged_[field * kThreads + cell * kThreadsOfCell + i];
    job_.luma[256 + (std::size_t{group_} * across + x) * kCellFields + field] = sum;
  }

 private:
  IE_HOST_DEVICE static std::uint32_t least(std::uint32_t a, std::uint32_t b) { return a < b ? a : b; }

  // The first output of a segment, or of the one after the last.
  [[nodiscard]] IE_HOST_DEVICE std::uint32_t first_output(std::uint32_t segment) const {
    std::uint32_t begin = 0, end = taps_.length;
    const std::uint32_t column = segment == 0 ? 0 : kSegment / job_.shrink * segment + 1;
    if (column >= taps_.axis.in) return end;
    while (begin < end) {
      const std::uint32_t middle = (begin + end) / 2;
      if (taps_.first[middle] < column)
        begin = middle + 1;
      else
        end = middle;
    }
    return begin;
  }

  // The cells that the block's outputs are made of.
  [[nodiscard]] IE_HOST_DEVICE std::uint32_t cells_across() const {
    const std::uint32_t begin = header_[0], end = header_[1];
    return begin < end ? taps_.first[end - 1] + taps_.count[end - 1] - left_ / job_.shrink : 0;
  }

  // The mean of the pixels that exist, rounded.
  IE_HOST_DEVICE void shrink(std::uint32_t y, std::uint32_t row, std::uint32_t x) const {
    const std::uint32_t across = least(job_.shrink, job_.width - left_ - x * job_.shrink), top = row * job_.shrink;
    if (y + top >= read_end_) return;
    const std::uint32_t down = least(job_.shrink, read_end_ - y - top), count = across * down;
    std::uint32_t sums[3] = {count / 2, count / 2, count / 2};
    for (std::uint32_t v = 0; v < down; ++v) {
      const auto* pixel =
          reinterpret_cast<const std::uint8_t*>(staged_ + (top + v) * job_.row_words) + x * job_.shrink * 3;
      for (std::uint32_t u = 0; u < across; ++u, pixel += 3)
        for (unsigned c = 0; c < 3; ++c) sums[c] += pixel[c];
    }
    auto* const cell = reinterpret_cast<std::uint8_t*>(cells_ + row * job_.cell_words) + x * 3;
    for (unsigned c = 0; c < 3; ++c) cell[c] = static_cast<std::uint8_t>(sums[c] / count);
  }

  IE_HOST_DEVICE void take_luma(std::uint32_t y, const std::uint32_t* row, std::uint32_t thread,
                                ThreadLuma& luma) const {
    std::uint32_t words[5];  // six pixels, and two bytes
    for (std::uint32_t i = 0; i < 5; ++i) words[i] = row[thread * 3 + i];
    const auto byte = [&](std::uint32_t i) { return words[i / 4] >> (i % 4 * 8) & 255U; };
    for (std::uint32_t i = 0; i < kColumns + 2; ++i) {
      luma.levels[0][i] = luma.levels[1][i], luma.levels[1][i] = luma.levels[2][i];
      luma.levels[2][i] = luma_of(byte(i * 3), byte(i * 3 + 1), byte(i * 3 + 2));
    }
    const std::uint32_t x = left_ + 1 + thread * kColumns;
    if ((y > read_begin_ || group_ == 0) && y <= read_begin_ + kRowGroup) {  // the first row is the group's above
      std::uint32_t* const table = counts_ + thread / 32 * 256;
      if (x == 1) add_count(table + luma.levels[2][0], 1);
      for (std::uint32_t j = 0; j < kColumns; ++j)
        if (x + j < job_.width) add_count(table + luma.levels[2][1 + j], 1);
    }
    // The row above now has both its neighbours.
    if (y < read_begin_ + 2 || y > read_begin_ + kRowGroup + 1) return;
    for (std::uint32_t j = 0; j < kColumns; ++j)
      if (x + j + 1 < job_.width) add_to_cell(luma.sums, luma.levels[0] + j, luma.levels[1] + j, luma.levels[2] + j);
  }

  [[nodiscard]] IE_HOST_DEVICE std::uint32_t reduced(std::uint32_t x, const std::uint32_t* row, int precision) const {
    const std::uint32_t byte = (taps_.first[x] - left_ / job_.shrink) * 3, shift = byte % 4 * 8;
    const std::uint32_t* from = row + byte / 4;
    const std::int16_t* weights = taps_.weights + std::size_t{x} * kTapGroup;
    const std::uint32_t groups = (taps_.count[x] + kTapGroup - 1) / kTapGroup;
    std::int32_t red = 0, green = 0, blue = 0;
    std::uint32_t before = *from++;
    for (std::uint32_t g = 0; g < groups; ++g, from += 3, weights += std::size_t{taps_.length} * kTapGroup) {
      const std::uint32_t a = word_at(before, from[0], shift), b = word_at(from[0], from[1], shift),
                          c = word_at(from[1], from[2], shift);
      before = from[2];
      const FourWeights four = weights_at(weights);
      const std::uint32_t two = four.low, more = four.high;
      red = add_products(red, two, more, chosen_bytes(chosen_bytes(a, b, 0x0630), c, 0x5210));
      green = add_products(green, two, more, chosen_bytes(chosen_bytes(a, b, 0x0741), c, 0x6210));
      blue = add_products(blue, two, more, chosen_bytes(chosen_bytes(a, b, 0x0052), c, 0x7410));
    }
    return sample_of(red, precision) | static_cast<std::uint32_t>(sample_of(green, precision)) << 8 |
           static_cast<std::uint32_t>(sample_of(blue, precision)) << 16;
  }

  const Job& job_;
  const AxisTaps& taps_;
  std::uint32_t segment_, group_;
  std::uint32_t *header_, *counts_, *staged_, *cells_;
  std::uint32_t left_;  // the block's first pixel
  std::uint32_t cells_begin_, cells_end_, read_begin_,
      read_end_;  // rows of cells that it makes, of pixels that it reads
};

// --- down, and the output

IE_HOST_DEVICE inline std::uint8_t level_of(std::uint8_t sample) { return sample; }
IE_HOST_DEVICE inline std::uint8_t level_of(float pad) { return static_cast<std::uint8_t>(lroundf(pad)); }

template <typename Pixel>
IE_HOST_DEVICE inline void write_element(const Target& target, std::size_t at, std::uint32_t channel, Pixel level) {
  if (target.type == ElementType::kUint8) {
    static_cast<std::uint8_t*>(target.data)[at] = level_of(level);
    return;
  }
  const float value = (static_cast<float>(level) - target.mean[channel]) / target.deviation[channel];
  if (target.type == ElementType::kFloat16)
    static_cast<std::uint16_t*>(target.data)[at] = half_bits(value);
  else
    static_cast<float*>(target.data)[at] = value;
}

// Pixel (x, y) of the part as stored.
IE_HOST_DEVICE inline void make_pixel(const Batch& batch, const Job& job, std::uint32_t x, std::uint32_t y) {
  const AxisTaps& taps = batch.axes[job.down];
  const std::size_t length = batch.axes[job.across].length;
  const std::uint32_t* from = job.middle + (taps.first[y] - job.row_begin) * length + x;
  std::int32_t sums[3] = {};
  for (std::uint32_t k = 0; k < taps.count[y]; ++k, from += length) {
    const std::int32_t weight =
        taps.weights[(std::size_t{k / kTapGroup} * taps.length + y) * kTapGroup + k % kTapGroup];
    for (unsigned c = 0; c < 3; ++c) sums[c] += weight * static_cast<std::int32_t>(*from >> (8 * c) & 255U);
  }
  const int precision = *taps.precision;
  const Target& target = job.target;
  std::uint32_t u = target.transpose ? y : x, v = target.transpose ? x : y;
  if (target.flip_x) u = target.part_width - 1 - u;
  if (target.flip_y) v = target.part_height - 1 - v;
  const std::size_t at =
      std::size_t{target.top + v} * target.row_step + std::size_t{target.left + u} * target.pixel_step;
  for (std::uint32_t c = 0; c < 3; ++c)
    write_element(target, at + std::size_t{c} * target.channel_step, c, sample_of(sums[target.source[c]], precision));
}

// Element (x, y) of the output, if it is padding.
IE_HOST_DEVICE inline void make_padding(const Target& target, std::uint32_t x, std::uint32_t y) {
  if (x >= target.width || y >= target.height) return;
  if (x - target.left < target.part_width && y - target.top < target.part_height) return;
  for (std::uint32_t c = 0; c < 3; ++c)
    write_element(
        target,
        std::size_t{y} * target.row_step + std::size_t{x} * target.pixel_step + std::size_t{c} * target.channel_step, c,
        target.pad[c]);
}

}  // namespace image_engine::gpu
