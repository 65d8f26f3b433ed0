// What stages found in a video as a whole, from what they found in its frames.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/stages.h"
#include "video/scenes.h"

namespace image_engine::pipeline {

// A frame with the record of one stage.
struct FrameData {
  double seconds = 0;
  std::string_view data;  // one JSON value
  double to = 0;          // the end of the frame's time, seconds
};

// The stages that run on frames of videos, and how their records of frames become the video's.
struct VideoStageRow {
  const char* stage;
  StageOutput (*summarize)(std::span<const FrameData> frames, std::span<const video::Scene> scenes);
};
std::span<const VideoStageRow> video_stages();
// Null: the stage does not run on frames.
const VideoStageRow* video_stage(std::string_view stage);

}  // namespace image_engine::pipeline
