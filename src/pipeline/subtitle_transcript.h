// What is said in a video or a recording by the subtitles that it has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "scan/subtitle_sidecar.h"
#include "types/transcript.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

struct Transcript {
  std::vector<SpeechSegment> speech;  // never empty
  std::string language;               // language_code(); empty: not stated
  std::string source;                 // "subtitles: film.en.srt", "subtitles: stream 3, subrip, en"
};

// What is recorded of subtitles beside their text.
struct SubtitleNotes {
  std::vector<std::string> warnings;
  bool is_sidecar_closed = false;  // it could not be opened or read from the disk: a later try may do better
};

// From the sidecar, else from a stream of the file (`has_streams`: it has one of subtitles); a stream in the
// preferred language (language_code(), empty: none is) comes before a sidecar that states another. None where
// there are none of text, or nothing is said in them. What cannot be read is no error of the media: it is left out,
// with a line in `notes`. Errors: those that are not about a file (kMachine, kKilled), those of opening
// `media_path`. Thread-safe.
Result<std::optional<Transcript>> read_subtitles(worker::Pool& pool, const std::string& media_path,
                                                 const std::optional<scan::SubtitleSidecar>& sidecar, bool has_streams,
                                                 const std::string& language, SubtitleNotes& notes);

}  // namespace image_engine::pipeline
