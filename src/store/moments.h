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
  kFrame,   // a frame that was analyzed, and how long the picture stays like it
  kScene,   // from one change of scene to the next
  kSpeech,  // what is said without a longer pause; its text is a thing of kSaid
  kSound,   // what else is heard; its names are things of kSound
};
// "frame", "scene", "speech", "sound".
std::string_view moment_kind_name(MomentKind kind);

// Passes number moments in ranges of their own, so that each replaces only its own.
struct MomentRange {
  MomentId first = 1, last = 1;  // both inclusive
};
inline constexpr MomentId kFirstSpeechMoment = MomentId{1} << 24;
inline constexpr MomentId kFirstSoundMoment = MomentId{2} << 24;
inline constexpr MomentRange kPictureMoments = {1, kFirstSpeechMoment - 1};  // frames and scenes
inline constexpr MomentRange kSpeechMoments = {kFirstSpeechMoment, kFirstSoundMoment - 1};
inline constexpr MomentRange kSoundMoments = {kFirstSoundMoment, (MomentId{3} << 24) - 1};

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

// One thing that was found at a moment: an object, a product, a scene, a line of text, a caption, what is said, a
// sound.
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
