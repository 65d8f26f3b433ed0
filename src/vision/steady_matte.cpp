#include "vision/steady_matte.h"

#include <algorithm>
#include <cmath>

namespace image_engine::vision {
namespace {

constexpr float kFollowed = 0.3F;                // of the model's change, where the picture rests
constexpr float kSameLuma = 3, kOtherLuma = 12;  // levels of 255: noise; what has changed
constexpr std::uint32_t kSamples = 4;            // of a place, along an edge

}  // namespace

// The mean luma (BT.601) of up to 4 × 4 pixels in each place.
std::vector<float> SteadyMatte::reduced(const ImageView& picture, std::uint32_t width, std::uint32_t height) const {
  std::vector<float> luma(std::size_t{width} * height);
  const auto at = [](std::uint32_t place, std::uint32_t sample, std::uint32_t places, std::uint32_t pixels) {
    return std::min<std::uint64_t>((std::uint64_t{place} * kSamples + sample) * pixels / (places * kSamples),
                                   pixels - 1);
  };
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x) {
      float sum = 0;
      for (std::uint32_t down = 0; down < kSamples; ++down)
        for (std::uint32_t across = 0; across < kSamples; ++across) {
          const std::uint8_t* pixel =
              &picture
                   .pixels[(at(y, down, height, picture.height) * picture.width + at(x, across, width, picture.width)) *
                           3];
          sum += 0.299F * pixel[0] + 0.587F * pixel[1] + 0.114F * pixel[2];
        }
      luma[std::size_t{y} * width + x] = sum / (kSamples * kSamples);
    }
  return luma;
}

void SteadyMatte::steady(const ImageView& picture, Matte& matte) {
  std::vector<float> luma = reduced(picture, matte.width, matte.height);
  if (matte_.width == matte.width && matte_.height == matte.height)
    for (std::size_t i = 0; i < luma.size(); ++i) {
      const float change =
          std::clamp((std::abs(luma[i] - luma_[i]) - kSameLuma) / (kOtherLuma - kSameLuma), 0.0F, 1.0F);
      matte.alpha[i] = std::lerp(matte_.alpha[i], matte.alpha[i], kFollowed + (1 - kFollowed) * change);
    }
  matte_ = matte;
  luma_ = std::move(luma);
}

Matte SteadyMatte::fade(const ImageView& picture) {
  Matte nothing{matte_.width, matte_.height, std::vector<float>(matte_.alpha.size())};
  if (!nothing.alpha.empty()) steady(picture, nothing);
  return nothing;
}

}  // namespace image_engine::vision
