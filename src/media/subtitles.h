// Subtitles that are text: a stream of a video, or a file of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "media/media.h"
#include "types/subtitle.h"

namespace image_engine::media {

// Files of subtitles are smaller; what is over the others is left out, with a warning.
inline constexpr std::size_t kMostSubtitleFileBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMostCues = 40'000;
inline constexpr std::size_t kMostCueBytes = std::size_t{4} << 10, kMostCuesBytes = std::size_t{4} << 20;

struct SubtitleOptions {
  std::string language;    // language_code(): preferred; empty: none is
  bool is_mapped = false;  // the bytes are a mapped file's (Demuxer::open())
};

struct SubtitleTrack {
  int stream = -1;       // its index in the container; below 0: a file of its own, or there is none
  std::string codec;     // "subrip", "ass", "mov_text", "webvtt"; empty: there is none
  std::string language;  // language_code(); empty: not stated
  std::string title;
  std::uint32_t text_streams = 0;   // of the container
  std::uint32_t other_streams = 0;  // likewise, pictures or in a codec that is not read
  std::vector<SubtitleCue> cues;    // in order of time, from ≤ to, without empty ones
  std::vector<std::string> warnings;
};

// Of a video the stream in the preferred language, else in that of its sound, else the default one, rather without
// descriptions of sounds; none (no codec, no cues) where there is no text or only of foreign parts (forced), signs or
// commentary. Of any other file all of it: SubRip or WebVTT. Errors: kUnsupported (neither a video nor subtitles),
// kTooLarge (a file of subtitles), kCorrupt, kOutOfMemory.
Result<SubtitleTrack> read_subtitles(Bytes file, const SubtitleOptions& options);

// For tests: the text of an event of Advanced SubStation Alpha, in which FFmpeg gives all subtitles, without override
// tags and drawings.
std::string text_of_event(std::string_view event);

}  // namespace image_engine::media
