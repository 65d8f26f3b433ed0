// Mattes of the frames of a video that do not flicker.
#pragma once

#include <vector>

#include "types/image.h"
#include "vision/segmenter.h"

namespace image_engine::vision {

// A model sees each frame for itself, so its matte trembles where nothing moves. Here a place follows the model slowly
// where the picture stays as it was, over some four frames, and at once where it changes. Not thread-safe.
class SteadyMatte {
 public:
  // The frames in order: `matte` becomes the steady one. A frame or matte of another size begins anew.
  void steady(const ImageView& picture, Matte& matte);
  // A frame in which the model found nothing: the steady matte fades. Empty if there was none.
  Matte fade(const ImageView& picture);

 private:
  std::vector<float> reduced(const ImageView& picture, std::uint32_t width, std::uint32_t height) const;

  Matte matte_;
  std::vector<float> luma_;  // of the frame before, in the matte's places
};

}  // namespace image_engine::vision
