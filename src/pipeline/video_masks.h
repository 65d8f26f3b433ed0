// The masks of a video's frames, one after the other, without flicker.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "pipeline/segment.h"
#include "types/image.h"
#include "vision/steady_matte.h"

namespace image_engine::pipeline {

// Not thread-safe.
class VideoMasks {
 public:
  // `target`: as PictureSegmenter::segment() takes it. Fails when the registry of models cannot be read.
  static Result<VideoMasks> open(const Config& config, std::string target, const SegmentOptions& options);

  // The alpha of the next frame, of its size; all zero where the target is not in it. Errors as of
  // PictureSegmenter::segment(), without those of the picture.
  Result<std::vector<std::uint8_t>> next(const ImageView& picture);

  [[nodiscard]] std::uint64_t found() const { return found_; }  // frames in which the target was seen
  [[nodiscard]] const std::string& model() const { return model_; }
  [[nodiscard]] const std::string& precision() const { return precision_; }

 private:
  VideoMasks(PictureSegmenter segmenter, std::string target, bool refine)
      : segmenter_(std::move(segmenter)), target_(std::move(target)), refine_(refine) {}

  PictureSegmenter segmenter_;
  std::string target_, model_, precision_;
  bool refine_;
  vision::SteadyMatte steady_;
  std::uint64_t found_ = 0;
};

}  // namespace image_engine::pipeline
