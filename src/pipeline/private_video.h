// What is private in a video is found, followed and hidden.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "pipeline/video_edit.h"
#include "types/box.h"
#include "types/clip_format.h"
#include "types/video_edit.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

struct HideTask {
  std::string what = "face";  // as PluginDetectors::find() takes it; "background": all but the people
  HideStyle style = HideStyle::kMosaic;
  std::uint32_t squares = 4;  // along the longer edge of what is hidden
  double margin = 0.35;       // around it, as a part of its shorter edge; at least 2 pixels
  std::vector<Box> keep;      // in pixels of the upright frames: what has its middle there is not hidden
  ClipFormat format = ClipFormat::kMp4;
};

struct PrivateVideo {
  RewrittenFile file;
  std::uint64_t hidden = 0, kept = 0;  // things that were followed; sightings that were kept
};

// Two passes: the first finds such things a few times a second and follows them (video/covering.h), the second hides
// them in each frame and encodes (media/video_rewrite.h). "background" is found frame by frame, in one pass. Errors:
// those of PluginDetectors::find(), of PictureSegmenter::segment(), of rewrite_video().
Result<PrivateVideo> hide_in_video(worker::Pool& pool, const Config& config, const std::string& path,
                                   const HideTask& task, const std::string& target, const VideoWatch& watch);

}  // namespace image_engine::pipeline
