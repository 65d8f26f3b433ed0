// The scenes of a video, from its changes, and the frame that shows each best.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "video/scene_changes.h"

namespace image_engine::video {

// "cut", "fade", "dissolve".
std::string_view change_name(ChangeKind kind);

// Seconds of presentation time, `to` exclusive. Scenes lie side by side: one that fades or dissolves into the next ends
// in the middle of the change.
struct Scene {
  double from = 0, to = 0;
  double whole_from = 0, whole_to = 0;  // without the changes at its ends
  std::string_view begins;              // how: change_name(), or "start" for the first
};

// From `first` (of the first frame) to `end` (of the last frame's end); `changes` by time. One scene without changes.
std::vector<Scene> scenes_of(std::span<const SceneChange> changes, double first, double end);

// A frame that could stand for a scene.
struct FrameScore {
  double seconds = 0;
  double score = 0;  // quality, 0…1
};
// The index of the best of the frames that are wholly of the scene, else of those in it, else of the last one before
// it; -1 without frames. `frames` by time.
std::ptrdiff_t best_frame(std::span<const FrameScore> frames, const Scene& scene);

// Whether two small frames (as SmallFrame::rgb) show the same picture but for noise: a detector would find the same.
bool is_same_picture(std::span<const std::uint8_t> one, std::span<const std::uint8_t> other);

}  // namespace image_engine::video
