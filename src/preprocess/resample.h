// Resampling of pictures in memory, a row at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "types/image.h"
#include "types/resample.h"

namespace image_engine::preprocess {

// The part of `picture.resize((out_width, out_height))` that begins at `left`, `top` and has `width` × `height` pixels:
// as Pillow's Image.resize, horizontal pass first, 8 bits between the passes, except for the last bits of the weights
// (on photos at most 0.02 of 255 on average). Pillow runs the vertical pass first for some pictures that are much
// higher than wide or grow only in width: there rounding differs, by less than one level on average. Computes only the
// part. Memory: 6 × ratio rows of the part's width. The picture is borrowed and must be complete.
class Resampler {
 public:
  struct Part {
    std::uint64_t out_width = 0, out_height = 0;  // of the whole result
    std::uint64_t left = 0, top = 0;
    std::uint32_t width = 0, height = 0;  // within the whole result
  };
  Resampler(const ImageView& picture, ResampleFilter filter, const Part& part, Speed speed = Speed::kFastest);

  // The next row from the top, width × RGB; valid until the next call. Called at most `height` times.
  std::span<const std::uint8_t> next_row();

 private:
  // Followed by ResampledRows::kPadding readable bytes.
  const std::uint8_t* padded_row(std::uint32_t y);

  ImageView picture_;
  ResampledRows rows_;
  std::uint32_t rows_in_ = 0;  // earlier rows of the picture were taken, or are not needed
  std::uint32_t rows_out_ = 0;
  std::vector<std::uint8_t> padded_;  // a copy of a row without enough bytes after it
};

}  // namespace image_engine::preprocess
