// The planes that a model of segmentation returns, and where the picture lies in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/result.h"
#include "preprocess/plan.h"
#include "types/tensor.h"
#include "vision/segmenter.h"

namespace image_engine::vision {

// Planes of a tensor, which must outlive them, however they are laid out.
struct MaskPlanes {
  std::span<const float> values;
  std::uint32_t width = 0, height = 0;
  std::size_t count = 1, of_pixel = 1, of_plane = 1;  // distances from a pixel to the next, a plane to the next
  [[nodiscard]] float at(std::size_t plane, std::uint32_t x, std::uint32_t y) const {
    return values[plane * of_plane + (std::size_t{y} * width + x) * of_pixel];
  }
};

// Of an output [1,count,h,w] or [1,h,w,count], and of one plane also [1,h,w]. kCorrupt, with a message that continues
// "model NAME: ": another shape, NaN or infinity.
Result<MaskPlanes> mask_planes(const Tensor& output, std::size_t count);

// Between which two samples of a plane a place lies, and how far from the first, 0…1.
struct Between {
  std::uint32_t first = 0, second = 0;
  float part = 0;
};

// The columns and rows of a result that covers the whole picture.
struct MaskPlaces {
  std::vector<Between> xs, ys;
};
// As many as the picture has samples in the output, or pixels in the model's input.
enum class MaskDetail : std::uint8_t { kOfOutput, kOfInput };
// `plan`: of the input whose edges are those of the planes; `prepared`: what was made of the picture, with that plan or
// one that leaves out the padding.
MaskPlaces mask_places(const MaskPlanes& planes, const preprocess::Plan& plan, const preprocess::Prepared& prepared,
                       MaskDetail detail);

float sample(const MaskPlanes& planes, std::size_t plane, const Between& x, const Between& y);

// Of a logit: its sigmoid.
float probability(float logit);

// A plane of logits, interpolated, as probabilities.
Matte matte_of_logits(const MaskPlanes& planes, std::size_t plane, const MaskPlaces& places);

}  // namespace image_engine::vision
