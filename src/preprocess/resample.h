// Resampling of pictures in memory, a row at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "types/image.h"
#include "types/taps.h"

namespace image_engine::preprocess {

// kPortable is for tests: the same numbers without the processor's vector instructions.
enum class Speed : std::uint8_t { kFastest, kPortable };

// Weights as whole numbers of 1 / 2^precision; each output's add up to 2^precision exactly, so that a flat picture
// stays as it is.
struct FixedTaps {
  std::vector<std::uint32_t> first, count;
  std::vector<std::int16_t> weights;  // padded with zeros to a stride that is a multiple of 4
  std::uint32_t stride = 0;
  int precision = 0;
  explicit FixedTaps(const Taps& taps);
};

// The part of `picture.resize((out_width, out_height))` that begins at `left`, `top` and has `width` × `height` pixels:
// what Pillow's Image.resize gives, across first, 8 bits between the passes, but for its weights' last bits (on photos
// at most 0.02 of 255 on average). Pillow takes the down pass first for some pictures that are much higher than wide or
// grow in width only: there roundings differ, by less than a level on average. Only what the part needs is
// computed.
// Memory: 6 × ratio rows of the part's width. The picture is borrowed; its pixels are all there.
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
  void reduce_row(std::uint32_t y);
  std::uint8_t* in_ring(std::uint32_t y) { return ring_.data() + y % ring_rows_ * ring_bytes_; }

  ImageView picture_;
  Speed speed_;
  FixedTaps across_, down_;
  std::uint32_t width_;
  std::uint32_t rows_in_ = 0;  // rows of the picture before it are in the ring, or no longer needed
  std::uint32_t rows_out_ = 0;
  std::size_t ring_rows_ = 0, ring_bytes_ = 0;
  std::vector<std::uint8_t> ring_;    // row y of the picture, reduced across, at y modulo ring_rows_
  std::vector<std::uint8_t> padded_;  // a copy of a row that ends too near the picture's end
  std::vector<const std::uint8_t*> rows_;
  std::vector<std::uint8_t> out_;
};

}  // namespace image_engine::preprocess
