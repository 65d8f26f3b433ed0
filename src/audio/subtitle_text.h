// Speech as subtitles and as text to read. Pure functions, thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "types/subtitle.h"
#include "types/transcript.h"

namespace image_engine::audio {

// As the guidelines of the BBC and of Netflix have them, roughly.
inline constexpr std::size_t kCueLines = 2;
inline constexpr std::size_t kLineCharacters = 42;      // of most scripts
inline constexpr std::size_t kLineWideCharacters = 16;  // of Chinese, Japanese and Korean
inline constexpr double kLeastCueSeconds = 1, kMostCueSeconds = 7;
inline constexpr double kCueGap = 0.042;      // seconds between two cues at least: a frame of 24 a second
inline constexpr double kCuePause = 1.5;      // seconds without a word that no cue goes across
inline constexpr double kParagraphPause = 2;  // seconds without a word after which a paragraph begins

// Cues of what is said, in order of time and without overlap, within the limits above; the times are whole
// milliseconds. A cue ends after a sentence or a part of one where it can. One is shorter than kLeastCueSeconds only
// where the next words begin before, and are too many for the same cue. Control characters are left out.
std::vector<SubtitleCue> subtitle_cues(std::vector<SpeechSegment> speech);

std::string webvtt(const std::vector<SubtitleCue>& cues);
// SubRip has no escapes: what would be read as markup or as a time gets characters that look alike.
std::string subrip(const std::vector<SubtitleCue>& cues);

// A paragraph on each line, an empty line between two. `with_times`: each begins with its time, "[1:02:03] ".
std::string transcript_text(std::vector<SpeechSegment> speech, bool with_times);

enum class TranscriptFormat { kText, kWebVtt, kSubRip };
// "text", "vtt", "srt".
std::optional<TranscriptFormat> transcript_format(std::string_view name);
// ".txt", ".vtt", ".srt".
std::string_view transcript_extension(TranscriptFormat format);
// One of the above; text with times.
std::string write_transcript(const std::vector<SpeechSegment>& speech, TranscriptFormat format);

}  // namespace image_engine::audio
