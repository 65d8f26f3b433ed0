// Changes of scene by a model that sees windows of frames: TransNetV2 (arXiv 2008.04838).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/result.h"
#include "video/scene_changes.h"

namespace image_engine::video {

inline constexpr std::uint32_t kModelWidth = 48, kModelHeight = 27;  // pixels
inline constexpr std::size_t kModelFrameBytes = std::size_t{kModelWidth} * kModelHeight * 3;
inline constexpr std::size_t kWindowFrames = 100;

// How likely each frame of a window is the middle of a change, and how likely it is any frame of one: 0…1.
struct WindowScores {
  std::array<float, kWindowFrames> middle, within;
};

// Gets a window of frames, kWindowFrames · kModelFrameBytes bytes of RGB, as they follow one another.
using ScoreWindow = std::function<Result<WindowScores>(std::span<const std::uint8_t> frames)>;

// Errors of the detector are those of `score`. Memory: under 1 MB, however long the video.
std::unique_ptr<SceneDetector> make_model_detector(ScoreWindow score, const SceneDetectorOptions& options = {});

// The frame of the model's size, by averaging the areas of a small frame's `rgb`, which is larger by a third in both
// directions.
std::array<std::uint8_t, kModelFrameBytes> model_frame(std::span<const std::uint8_t> rgb);

}  // namespace image_engine::video
