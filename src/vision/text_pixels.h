// Resampling as in OpenCV: text models were trained with it, and unlike our own resampling it does not antialias.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "types/image.h"
#include "vision/text.h"

namespace image_engine::vision {

using Quad = std::array<Point, 4>;

inline ImageView view_of(const Image& image) { return {image.width, image.height, image.pixels}; }

// As cv2.resize with INTER_LINEAR: four neighbours, 11 bits of weight; exactly half the size is the mean of 2 × 2.
// Picture and size must not be empty.
Image resize_linear(const ImageView& picture, std::uint32_t width, std::uint32_t height);

// Adds this many black rows above and below.
Image with_rows(const ImageView& picture, std::uint32_t rows);

// The size of the rectangle that cut() makes of a quadrangle: its longer sides, rounded down.
struct CutSize {
  std::uint32_t width = 0, height = 0;
};
CutSize cut_size(const Quad& quad);

// The quadrangle (top left, top right, bottom right, bottom left) as an upright rectangle: cv2.warpPerspective with
// INTER_CUBIC, and the nearest pixel outside the picture. Its size must not be 0.
Image cut(const ImageView& picture, const Quad& quad);

Image turned_left(const Image& image);  // by 90 degrees counterclockwise
void turn_over(Image& image);           // by 180 degrees

// How pixels become model inputs.
struct Normalisation {
  bool bgr = true;
  std::array<float, 3> mean{}, deviation{1, 1, 1};  // of 0…255, in the order of the planes
};
// Fills the left part of three planes of `stride` × the picture's height; the rest is unchanged.
void fill_planes(const ImageView& picture, const Normalisation& how, std::size_t stride, std::span<float> planes);

}  // namespace image_engine::vision
