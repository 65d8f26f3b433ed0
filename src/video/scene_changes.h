// Where a video changes from one scene to another: found on small frames, while they are decoded.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/result.h"

namespace image_engine::video {

inline constexpr std::uint32_t kSmallWidth = 64, kSmallHeight = 36;  // pixels

// One frame as a whole, stretched to kSmallWidth × kSmallHeight by averaging areas.
struct SmallFrame {
  std::int64_t index;  // rises from frame to frame
  double seconds;      // presentation time; durations are taken from it, so that a variable frame rate does no harm
  std::span<const std::uint8_t> rgb;  // kSmallWidth · kSmallHeight · 3 bytes, row by row from the top
};

// A cut is between two frames. A fade goes through a picture of one colour, mostly black or white. In a dissolve both
// scenes are seen at once.
enum class ChangeKind { kCut, kFade, kDissolve };

struct SceneChange {
  ChangeKind kind;
  std::int64_t from, to;  // index of the last frame wholly of the old scene, of the first wholly of the new one
  double from_seconds, to_seconds;  // presentation times of those frames
  float score;                      // 0…1, how sure it is; comparable among changes of one kind only
};

// Gets every frame of one video in order of presentation. One thread at a time.
class SceneDetector {
 public:
  virtual ~SceneDetector() = default;
  // Changes that became certain, in order; they neither overlap one another nor come before those that were returned
  // earlier. Keeps no reference to the pixels. A frame whose rgb has another size is ignored. Errors: those of a model;
  // the detector is of no use then.
  virtual Result<std::vector<SceneChange>> add(const SmallFrame& frame) = 0;
  // The changes that were still uncertain at the last frame. The detector is then as new, for another video.
  virtual Result<std::vector<SceneChange>> finish() = 0;
  // Seconds of video after which a change is certain at the latest, in a video whose frames are `spacing` seconds
  // apart. A detector that begins in the middle of a video finds after as many seconds what one does from its start on.
  [[nodiscard]] virtual double delay(double spacing) const = 0;
};

struct SceneDetectorOptions {
  float sensitivity = 1;        // above 1: finds weaker changes; below: only stronger ones. Useful: 0.5…2
  double shortest_scene = 0.4;  // seconds; what is shorter is no scene but a flash or a part of the change before it
};

// The built-in detector: it looks at brightness, colours and what moved where (docs/scene_changes.md). A change is
// returned at most 3 s of video after its last frame, at low frame rates 1.5 s and five frames. Memory: under 10 MB,
// however long the video and whatever its frame rate. A time that is none, or earlier than that of the frame before, is
// taken for that one's. A video that begins or ends with black has a change there only where the black lasts as long as
// a scene.
std::unique_ptr<SceneDetector> make_scene_detector(const SceneDetectorOptions& options = {});

}  // namespace image_engine::video
