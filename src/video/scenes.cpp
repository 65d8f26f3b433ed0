#include "video/scenes.h"

#include <algorithm>
#include <iterator>

#include "types/same_picture.h"

namespace image_engine::video {

std::string_view change_name(ChangeKind kind) {
  constexpr std::string_view kNames[] = {"cut", "fade", "dissolve"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<Scene> scenes_of(std::span<const SceneChange> changes, double first, double end) {
  std::vector<Scene> scenes;
  Scene scene{first, end, first, end, "start"};
  for (const SceneChange& change : changes) {
    const bool is_cut = change.kind == ChangeKind::kCut;
    const double middle = is_cut ? change.to_seconds : (change.from_seconds + change.to_seconds) / 2;
    if (middle <= scene.from || middle >= end) continue;
    scene.to = middle;
    scene.whole_to = is_cut ? middle : change.from_seconds;
    scenes.push_back(scene);
    scene = {middle, end, change.to_seconds, end, change_name(change.kind)};
  }
  scenes.push_back(scene);
  return scenes;
}

std::ptrdiff_t best_frame(std::span<const FrameScore> frames, const Scene& scene) {
  const auto best_within = [&](double from, double to) {
    std::ptrdiff_t best = -1;
    for (std::size_t i = 0; i < frames.size(); ++i)
      if (frames[i].seconds >= from && frames[i].seconds < to &&
          (best < 0 || frames[i].score > frames[static_cast<std::size_t>(best)].score))
        best = static_cast<std::ptrdiff_t>(i);
    return best;
  };
  if (const auto best = best_within(scene.whole_from, scene.whole_to); best >= 0) return best;
  if (const auto best = best_within(scene.from, scene.to); best >= 0) return best;
  const auto after = std::ranges::lower_bound(frames, scene.from, {}, &FrameScore::seconds);
  return after == frames.begin() ? (frames.empty() ? -1 : 0) : std::distance(frames.begin(), after) - 1;
}

bool is_same_picture(std::span<const std::uint8_t> one, std::span<const std::uint8_t> other) {
  return image_engine::is_same_picture(one, other, kSmallWidth, kSmallHeight);
}

}  // namespace image_engine::video
