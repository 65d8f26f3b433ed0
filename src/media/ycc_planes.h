// Reduces libjpeg's YCbCr planes, before upsampling and conversion, and converts them to RGB.
#pragma once

#include <cstddef>
#include <cstdint>

namespace image_engine::media {

// The mean of each cell of fx × fy samples, rounded: ceil(width / fx) samples in `out`. `rows` are the cell's rows, at
// least one of fy: cells at the right and lower edge average the existing samples. fx and fy are 1, 2, 4 or 8.
void average_cells(const std::uint8_t* const* rows, std::size_t row_count, std::size_t width, unsigned fx,
                   std::uint8_t* out);

// Full-range YCbCr to RGB (ITU-T T.871, JFIF), `count` pixels.
void ycc_to_rgb(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr, std::uint8_t* rgb,
                std::size_t count);

}  // namespace image_engine::media
