// What stages found in a video as a whole, from what they found in its frames.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/stages.h"
#include "store/moments.h"
#include "store/types.h"
#include "video/scenes.h"
#include "video/tracks.h"

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

// The things in a record of the stage `objects`.
std::vector<video::Sighting> sightings_of(std::string_view data);
// Those of a whole video, from such records in order of time.
std::vector<video::Track> tracks_of(std::span<const FrameData> frames, std::span<const video::Scene> scenes);
// What is there at a moment: of each name the most tracks at one time in it, also those that its frame misses; `data`
// is that frame's record.
store::CountFacts objects_at(const store::Moment& moment, std::string_view data, std::span<const video::Track> tracks);

}  // namespace image_engine::pipeline
