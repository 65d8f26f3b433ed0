// track_scores [OPTION=NUMBER…], options of video::TrackerOptions: reads frames from stdin, a line of JSON each:
// {"clip": NAME, "at": seconds, "cut": false, "found":
// [{"name": "person", "confidence": 0.9, "box": [x, y, width, height], "vector": […]}]}, clip after clip. Prints a line
// for each: {"clip": NAME, "ids": […]}, of each that was found the id of its track, or 0: of none that finish() names.
// bench/video/track_quality.py scores them.
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "video/tracks.h"

namespace {

using namespace image_engine;
using Json = nlohmann::json;

std::vector<video::Sighting> sightings_of(const Json& frame) {
  std::vector<video::Sighting> sightings;
  for (const Json& found : frame.at("found")) {
    const auto box = found.at("box").get<std::vector<float>>();
    sightings.push_back({found.at("name"),
                         found.at("confidence"),
                         {box.at(0), box.at(1), box.at(2), box.at(3)},
                         found.value("vector", std::vector<float>())});
  }
  return sightings;
}

// "keep=3". False where there is no such option.
bool set_option(video::TrackerOptions& options, std::string_view text) {
  const std::size_t sign = text.find('=');
  if (sign == std::string_view::npos) return false;
  const std::string_view name = text.substr(0, sign);
  const double number = std::atof(text.data() + sign + 1);
  const auto set = [&](auto& option) { option = static_cast<std::remove_reference_t<decltype(option)>>(number); };
  if (name == "track_fps") return set(options.track_fps), true;
  if (name == "high") return set(options.high), true;
  if (name == "low") return set(options.low), true;
  if (name == "sure") return set(options.sure), true;
  if (name == "keep") return set(options.keep), true;
  if (name == "keep_vectors") return set(options.keep_vectors), true;
  if (name == "same_vector") return set(options.same_vector), true;
  return false;
}

void print_ids(const std::string& clip, video::Tracker& tracker, std::vector<std::vector<std::int64_t>>& frames) {
  std::set<std::int64_t> named{};
  for (const video::Track& track : tracker.finish()) named.insert(track.id);
  for (auto& ids : frames) {
    for (auto& id : ids) id = named.contains(id) ? id : 0;
    std::cout << Json{{"clip", clip}, {"ids", ids}} << '\n';
  }
  frames.clear();
}

}  // namespace

int main(int count, char** arguments) {
  video::TrackerOptions options;
  for (int i = 1; i < count; ++i)
    if (!set_option(options, arguments[i])) {
      std::cerr << "track_scores: " << arguments[i] << " is no option and its number\n";
      return 2;
    }
  video::Tracker tracker(options);
  std::vector<std::vector<std::int64_t>> frames;
  std::string clip;
  for (std::string line; std::getline(std::cin, line);) {
    const Json frame = Json::parse(line);
    if (frame.at("clip") != clip) {
      print_ids(clip, tracker, frames);
      clip = frame.at("clip");
    }
    frames.push_back(tracker.add(frame.at("at"), sightings_of(frame), frame.value("cut", false)));
  }
  print_ids(clip, tracker, frames);
}
