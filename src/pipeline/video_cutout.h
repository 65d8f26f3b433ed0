// What a person names in a video, cut out of all of its frames.
#pragma once

#include <cstdint>
#include <string>

#include "core/config.h"
#include "core/result.h"
#include "pipeline/segment.h"
#include "pipeline/video_edit.h"
#include "types/clip_format.h"
#include "types/video_edit.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

struct CutoutTask {
  std::string target = "subject";  // as PictureSegmenter::segment() takes it
  SegmentOptions options;
  bool is_mask = false;     // grey pictures, white inside, in place of the cut-out with its transparency
  bool is_cropped = false;  // to the least box around the target in all frames, with a margin
  double margin = 0.05;     // a part of that box's longer edge
  ClipFormat format = ClipFormat::kWebm;
  VideoCoding coding = VideoCoding::kVp9Alpha;  // not kAsSource
};

struct CutoutVideo {
  RewrittenFile file;
  std::uint64_t found = 0;  // frames in which the target was seen
  std::string model, precision;
  std::uint32_t width = 0, height = 0;  // of what was written
  Box box, cut;                         // where the target is in any frame, and what was cut out; pixels
};

// Masks are steady from frame to frame (vision/steady_matte.h). To crop, the target is looked for twice a second first.
// Errors: those of PictureSegmenter::segment() and rewrite_video(); kNotFound: it is in none of the frames that were
// looked at first.
Result<CutoutVideo> cut_out_of_video(worker::Pool& pool, const Config& config, const std::string& path,
                                     const CutoutTask& task, const std::string& target, const VideoWatch& watch);

}  // namespace image_engine::pipeline
