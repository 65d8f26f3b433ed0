// Files of subtitles beside videos and recordings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace image_engine::scan {

struct SubtitleSidecar {
  std::string path;
  std::string language;    // language_code() by its name; empty: not stated
  std::uint64_t size = 0;  // bytes
  std::int64_t mtime_ns = 0;
};

// The subtitles of film.mp4: film.srt, film.en.srt, film.English.sdh.vtt or film.mp4.srt beside it, its extension in
// any case; never those of foreign parts only ("forced"), never a link. Of several that in the preferred language
// (language_code(), empty: none is), then one that states none; SubRip before WebVTT. None where the folder cannot be
// read. Reads the folder's names, no file. Thread-safe.
std::optional<SubtitleSidecar> find_subtitle_sidecar(const std::string& media_path, std::string_view language);

}  // namespace image_engine::scan
