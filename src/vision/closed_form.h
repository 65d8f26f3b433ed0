// The alpha that a picture's colours ask for, where a model's matte has an edge.
#pragma once

#include <stop_token>

#include "core/result.h"
#include "types/image.h"
#include "vision/segmenter.h"

namespace image_engine::vision {

// Closed-form matting (Levin, Lischinski, Weiss: A Closed-Form Solution to Natural Image Matting, 2008) at the matte's
// size: in windows of 3 × 3 places alpha is to be a linear function of the picture's colours, it is 0 or 1 where the
// matte is surely outside or inside for kMattingBand places around, and one more, and elsewhere it is drawn a little to
// the matte, so that thin things stay. Solved by conjugate gradients, without the matrix, until the residual is 10⁻⁶ of
// the first or after 1000 steps. The matte as it is where nothing is sure, or everything. Memory: at most 200 bytes for
// each place that is not sure, and 40 for each other. One thread; thread-safe. kInterrupted: `stop` was requested.
inline constexpr int kMattingBand = 8;
Result<Matte> closed_form_matte(const ImageView& picture, const Matte& matte, const std::stop_token& stop = {});

}  // namespace image_engine::vision
