#include "pipeline/frames_between.h"

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "pipeline/video_summary.h"
#include "video/tracks.h"

namespace image_engine::pipeline {

using nlohmann::json;

bool needs_frames_between(std::string_view before, std::string_view now) {
  return video::lose_overlap(sightings_of(before), sightings_of(now));
}

Result<std::string> objects_between(const PictureStage& stage, const std::vector<FrameBetween>& frames) {
  std::vector<StageWork> works;
  for (const FrameBetween& frame : frames) {
    const ImageView picture{frame.picture.width, frame.picture.height, frame.picture.pixels};
    const LumaStatistics none;  // of the full frame: objects need none
    StageInput input{picture, none, frame.full_width, frame.full_height};
    input.larger = [&](std::uint32_t) -> Result<ImageView> { return picture; };
    IE_TRY(StageWork work, stage.prepare(input));
    works.push_back(std::move(work));
  }
  std::vector<Result<StageOutput>> outputs = run_each(stage, works);
  json list = json::array();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    IE_TRY(const StageOutput output, std::move(outputs[i]));
    json data = parse_json(output.data);
    list.push_back({{"at", frames[i].seconds}, {"objects", data.is_object() ? data["objects"] : json::array()}});
  }
  return json_text(list);
}

std::vector<ObjectsAt> frames_of_record(std::string_view record) {
  std::vector<ObjectsAt> frames;
  const json list = parse_json(record);
  if (!list.is_array()) return frames;
  for (const json& frame : list)
    if (frame.is_object() && frame.contains("at") && frame["at"].is_number())
      frames.push_back({frame["at"].get<double>(), json_text(frame)});
  return frames;
}

}  // namespace image_engine::pipeline
