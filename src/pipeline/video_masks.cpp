#include "pipeline/video_masks.h"

#include <utility>

#include "vision/cut_out.h"

namespace image_engine::pipeline {

Result<VideoMasks> VideoMasks::open(const Config& config, std::string target, const SegmentOptions& options) {
  IE_TRY(PictureSegmenter segmenter, PictureSegmenter::open(config, options));
  return VideoMasks(std::move(segmenter), std::move(target), options.refine);
}

Result<std::vector<std::uint8_t>> VideoMasks::next(const ImageView& picture) {
  Result<Segmented> found =
      segmenter_.segment(picture, target_, [&](vision::Matte& matte) { steady_.steady(picture, matte); });
  if (found) {
    ++found_;
    model_ = found->model, precision_ = found->precision;
    return std::move(found->alpha);
  }
  if (!segmenter_.is_of_the_picture()) return fail(found.error());
  const vision::Matte rest = steady_.fade(picture);
  if (rest.alpha.empty()) return std::vector<std::uint8_t>(std::size_t{picture.width} * picture.height);
  return refine_ ? vision::refine_alpha(picture, rest) : vision::interpolate_alpha(picture, rest);
}

}  // namespace image_engine::pipeline
