// What is said, as subtitles have it. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "types/subtitle.h"
#include "types/transcript.h"

namespace image_engine::audio {

// A cue's text on one line without what nobody says: sounds in brackets ("[music]", "(sighs)"), the speaker in capital
// letters ("JOHN: "), dashes before speakers, notes of music. Empty: nothing is said.
std::string spoken_text(std::string_view cue);

// A segment for each cue in which something is said. Words share the cue's time by their length; a cue that stays much
// longer than it takes to read is cut. Captions that roll, where each cue repeats the line before, as those of online
// videos, become a segment for each new line. `cues` are in order of time; `language`: language_code(), or empty.
std::vector<SpeechSegment> speech_of_cues(const std::vector<SubtitleCue>& cues, const std::string& language);

}  // namespace image_engine::audio
