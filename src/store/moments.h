// What was found at times of an asset: observations below it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/asset_query.h"
#include "store/types.h"

namespace image_engine::store {

enum class MomentKind : std::uint8_t {
  kFrame,  // a frame that was analyzed, and how long the picture stays like it
  kScene,  // from one change of scene to the next
};
// "frame", "scene".
std::string_view moment_kind_name(MomentKind kind);

// The stage whose record of a moment is speech_record() (types/transcript.h).
inline constexpr std::string_view kSpeechStage = "speech";

// A time range in seconds of presentation time, `to` exclusive.
struct Moment {
  MomentId id = 0;
  MomentKind kind = MomentKind::kFrame;
  double from = 0, to = 0;
};

// What a stage found at a moment. Model and version are those of the asset's record of that stage.
struct MomentRecord {
  MomentId moment = 0;
  std::string stage;
  std::string data;  // one JSON value; empty: there is no record, only facts
};

// One thing that was found at a moment: an object, a product, a scene, a line of text, a caption.
struct MomentThing {
  MomentId moment = 0;
  TextField field = TextField::kObjects;
  std::string name;
  std::int64_t count = 1;
  double confidence = 1;  // of the surest one, 0…1
};

// Where the analysis of a long asset stands, so that it can be resumed.
struct AnalysisProgress {
  std::string key;   // of what is being done: other keys start anew
  std::string data;  // one JSON value, the pipeline's own
};

}  // namespace image_engine::store
