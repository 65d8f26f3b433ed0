#include "preprocess/resample.h"

#include <algorithm>

namespace image_engine::preprocess {
namespace {

Taps taps_of(ResampleFilter filter, std::uint32_t in, std::uint64_t out, std::uint64_t begin, std::uint32_t length) {
  return make_taps(filter, {in, static_cast<double>(in), out}, begin, length);
}

}  // namespace

Resampler::Resampler(const ImageView& picture, ResampleFilter filter, const Part& part, Speed speed)
    : picture_(picture),
      rows_(taps_of(filter, picture.width, part.out_width, part.left, part.width),
            taps_of(filter, picture.height, part.out_height, part.top, part.height), speed),
      padded_(std::size_t{picture.width} * 3 + ResampledRows::kPadding) {}

const std::uint8_t* Resampler::padded_row(std::uint32_t y) {
  const std::size_t row_bytes = std::size_t{picture_.width} * 3;
  const std::uint8_t* row = picture_.pixels.data() + y * row_bytes;
  if (picture_.pixels.size() - y * row_bytes >= padded_.size()) return row;
  std::copy_n(row, row_bytes, padded_.data());
  return padded_.data();
}

std::span<const std::uint8_t> Resampler::next_row() {
  const std::uint32_t y = rows_out_++;
  for (rows_in_ = std::max(rows_in_, rows_.first(y)); rows_in_ < rows_.end(y); ++rows_in_)
    rows_.take(rows_in_, padded_row(rows_in_));
  return rows_.make(y);
}

}  // namespace image_engine::preprocess
