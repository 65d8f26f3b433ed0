// Writes pixels to tensors: channel order, layout and normalisation in one step.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "preprocess/plan.h"
#include "types/resample.h"

namespace image_engine::preprocess {

// Writes rows of pixels into one item of a tensor; T must match plan.type (float or std::uint8_t).
template <typename T>
class PixelWriter {
 public:
  // `out` has 3 × size.width × size.height elements and is borrowed, like the plan.
  PixelWriter(const Plan& plan, InputSize size, std::span<T> out, Speed speed = Speed::kFastest);

  // Writes RGB pixels to row y, starting at column x.
  void pixels(std::uint32_t x, std::uint32_t y, std::span<const std::uint8_t> rgb);
  // Writes `count` pixels of padding to row y, starting at column x.
  void padding(std::uint32_t x, std::uint32_t y, std::uint32_t count);

 private:
  [[nodiscard]] std::size_t index(std::uint32_t x, std::uint32_t y, std::size_t channel) const {
    return y * row_step_ + x * pixel_step_ + channel * channel_step_;
  }

  const Plan& plan_;
  std::span<T> out_;
  Speed speed_;
  std::size_t row_step_, pixel_step_, channel_step_;  // in elements
  std::array<std::size_t, 3> source_;                 // the index in RGB of each channel
  std::array<std::array<T, 256>, 3> values_;          // the normalised value of each level of a channel
  std::array<T, 3> pad_;
};

extern template class PixelWriter<float>;
extern template class PixelWriter<std::uint8_t>;

}  // namespace image_engine::preprocess
