// A matte of a model's size, as the alpha of the whole photo, and the colours of what is cut out.
#pragma once

#include <cstdint>
#include <vector>

#include "types/image.h"
#include "vision/segmenter.h"

namespace image_engine::vision {

// The alpha of each pixel of `picture`, 0…255, its edges those of the picture. In windows of 3 × 3 of the matte's
// places alpha is a linear function of colour, fitted to the matte and to the picture reduced to its size, and applied
// to the whole picture: the guided filter (He, Sun, Tang: Guided Image Filtering, 2013, with colours as guide) as in He
// and Sun: Fast Guided Filter, 2015. Where the matte is so smooth that interpolation reproduces it, or where colours do
// not explain it, it is only interpolated. `picture` must be complete. It works in bands, on `threads`
// threads. Memory beside the result: 6 floats for each place of the matte, and some 40 of a band of 64 rows of it for
// each thread. Thread-safe, as is all below.
std::vector<std::uint8_t> refine_alpha(const ImageView& picture, const Matte& matte, int threads = 1);

// The matte interpolated, without the picture.
std::vector<std::uint8_t> interpolate_alpha(const ImageView& picture, const Matte& matte);

// RGB and alpha, not premultiplied: what is partly transparent has the foreground's colour without the background that
// shines through, estimated from the nearest places that are wholly one or the other, and corrected by what the pixel
// shows: the least-squares solution of I = αF + (1 − α)B near those two. Wholly transparent pixels are black, so that
// nothing of the background is left. `alpha` has a value for each pixel.
std::vector<std::uint8_t> cut_out(const ImageView& picture, const std::vector<std::uint8_t>& alpha);

}  // namespace image_engine::vision
