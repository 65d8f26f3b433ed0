#include "pipeline/video_summary.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "pipeline/action_stages.h"
#include "pipeline/model_stages.h"
#include "video/tracks.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

// The members of one list of a frame's record.
json list_of(std::string_view data, const char* name) {
  json all = parse_json(data);
  return all.is_object() && all.contains(name) && all[name].is_array() ? std::move(all[name]) : json::array();
}

// The best frame's.
StageOutput summarize_quality(std::span<const FrameData> frames, std::span<const video::Scene>) {
  std::string best = "{}";
  double most = -1;
  for (const FrameData& frame : frames) {
    const json data = parse_json(frame.data);
    const double score = data.is_object() ? data.value("score", 0.0) : 0.0;
    if (score > most) best = frame.data, most = score;
  }
  return {best, {}};
}

std::optional<video::Sighting> sighting_of(const json& object) {
  const auto box = object.find("bbox");
  if (box == object.end() || !box->is_array() || box->size() != 4) return std::nullopt;
  video::Sighting sighting;
  sighting.name = object.value("object", "");
  sighting.confidence = object.value("confidence", 0.0F);
  sighting.box = {(*box)[0].get<float>(), (*box)[1].get<float>(), (*box)[2].get<float>(), (*box)[3].get<float>()};
  return sighting;
}

// Of each name one thing, as sure as its surest sighting in the frame and those added before.
void add_sightings(std::string_view data, std::map<std::string, store::FoundObjects>& by_name) {
  for (const video::Sighting& sighting : sightings_of(data)) {
    store::FoundObjects& found = by_name[sighting.name];
    found = {sighting.name, 1, std::max(found.confidence, thousandths(sighting.confidence))};
  }
}

// As many of each name as there are tracks at one time. What was seen too unsurely for a track is one thing.
store::CountFacts counted(std::map<std::string, store::FoundObjects> by_name, std::span<const video::Track> tracks) {
  for (const video::Track& track : tracks) {
    store::FoundObjects& found = by_name[track.name];
    if (found.name.empty()) found = {track.name, 1, thousandths(track.best_confidence)};
  }
  for (const auto& [name, most] : video::most_at_once(tracks)) by_name[name].count = most;
  store::CountFacts counts{store::TextField::kObjects, {}};
  for (auto& [name, found] : by_name) counts.things.push_back(std::move(found));
  return counts;
}

// Each thing once, as it was seen best, with the time that it was there.
StageOutput summarize_objects(std::span<const FrameData> frames, std::span<const video::Scene> scenes) {
  const std::vector<video::Track> tracks = tracks_of(frames, scenes);
  std::map<std::string, store::FoundObjects> by_name;
  for (const FrameData& frame : frames) add_sightings(frame.data, by_name);
  json list = json::array();
  for (const video::Track& track : tracks) {
    const Box& box = track.best_box;
    list.push_back({{"object", track.name},
                    {"confidence", thousandths(track.best_confidence)},
                    {"bbox", {tenths(box.x), tenths(box.y), tenths(box.width), tenths(box.height)}},
                    {"at", thousandths(track.best_at)},
                    {"from", thousandths(track.from)},
                    {"to", thousandths(track.to)}});
  }
  const std::size_t count = list.size();
  return {json_text(json{{"objects", std::move(list)}, {"object_count", count}}),
          {counted(std::move(by_name), tracks)}};
}

// Each label by its surest frame.
StageOutput summarize_scene(std::span<const FrameData> frames, std::span<const video::Scene>) {
  std::map<std::string, double> surest;
  for (const FrameData& frame : frames)
    for (const json& guess : list_of(frame.data, "top")) {
      double& confidence = surest[guess.value("label", "")];
      confidence = std::max(confidence, guess.value("confidence", 0.0));
    }
  std::vector<vision::SceneGuess> guesses;
  for (const auto& [label, confidence] : surest) guesses.push_back({label, static_cast<float>(confidence)});
  std::ranges::stable_sort(guesses, std::ranges::greater{}, &vision::SceneGuess::confidence);
  if (guesses.size() > vision::kTopScenes) guesses.resize(vision::kTopScenes);
  return scene_output(guesses);
}

// Each line once, as it was read best.
StageOutput summarize_text(std::span<const FrameData> frames, std::span<const video::Scene>) {
  json list = json::array();
  std::map<std::string, std::size_t> known;
  for (const FrameData& frame : frames)
    for (json line : list_of(frame.data, "text")) {
      line["at"] = thousandths(frame.seconds);
      const auto [entry, is_new] = known.try_emplace(line.value("text", ""), list.size());
      if (is_new)
        list.push_back(std::move(line));
      else if (line.value("confidence", 0.0) > list[entry->second].value("confidence", 0.0))
        list[entry->second] = std::move(line);
    }
  store::TextFacts text;
  for (const json& line : list) text.lines.push_back(line.value("text", ""));
  return {json_text(json{{"text", std::move(list)}}), {std::move(text)}};
}

// Frames have vectors of their own, the video as a whole has none.
StageOutput summarize_vectors(std::span<const FrameData>, std::span<const video::Scene>) { return {"{}", {}}; }

// Each action once for each time that it lasts.
StageOutput summarize_actions(std::span<const FrameData> frames, std::span<const video::Scene>) {
  std::vector<video::ActionWindow> windows;
  for (const FrameData& frame : frames) {
    video::ActionWindow& window = windows.emplace_back(video::ActionWindow{frame.seconds, frame.to, {}});
    for (const json& guess : list_of(frame.data, "actions"))
      window.guesses.push_back({guess.value("action", ""), guess.value("confidence", 0.0)});
  }
  return actions_over_time(windows, ActionSource::kZeroShot);
}

constexpr VideoStageRow kRows[] = {
    {kQualityStage, summarize_quality},  {kObjectsStage, summarize_objects}, {kEmbeddingStage, summarize_vectors},
    {kFeaturesStage, summarize_vectors}, {kSceneStage, summarize_scene},     {kTextStage, summarize_text},
    {kActionsStage, summarize_actions},
};

}  // namespace

std::vector<video::Sighting> sightings_of(std::string_view data) {
  std::vector<video::Sighting> sightings;
  for (const json& object : list_of(data, "objects"))
    if (auto sighting = sighting_of(object)) sightings.push_back(std::move(*sighting));
  return sightings;
}

std::vector<video::Track> tracks_of(std::span<const FrameData> frames, std::span<const video::Scene> scenes) {
  video::Tracker tracker;
  std::size_t scene = 0;
  for (const FrameData& frame : frames) {
    bool cut = false;
    while (scene + 1 < scenes.size() && frame.seconds >= scenes[scene].to) cut = true, ++scene;
    tracker.add(frame.seconds, sightings_of(frame.data), cut);
  }
  return tracker.finish();
}

store::CountFacts objects_at(const store::Moment& moment, std::string_view data, std::span<const video::Track> tracks) {
  std::vector<video::Track> alive;
  for (video::Track track : tracks) {
    std::erase_if(track.stretches,
                  [&](const video::Stretch& one) { return one.to < moment.from || one.from >= moment.to; });
    for (video::Stretch& one : track.stretches) one = {std::max(one.from, moment.from), std::min(one.to, moment.to)};
    if (!track.stretches.empty()) alive.push_back(std::move(track));
  }
  std::map<std::string, store::FoundObjects> by_name;
  add_sightings(data, by_name);
  return counted(std::move(by_name), alive);
}

std::span<const VideoStageRow> video_stages() { return kRows; }

const VideoStageRow* video_stage(std::string_view stage) {
  const auto* found =
      std::ranges::find(kRows, stage, [](const VideoStageRow& row) { return std::string_view(row.stage); });
  return found == std::end(kRows) ? nullptr : found;
}

}  // namespace image_engine::pipeline
