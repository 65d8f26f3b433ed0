// Files of subtitles beside videos and recordings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/result.h"

namespace image_engine::scan {

struct SubtitleSidecar {
  std::string path;
  std::string language;    // language_code() by its name; empty: not stated
  std::uint64_t size = 0;  // bytes
  std::int64_t mtime_ns = 0;
};

// The files of subtitles beside media. Each folder's names are read once, at the first call for a file in it; no file
// is read. One thread at a time.
class SubtitleFolders {
 public:
  // The subtitles of film.mp4: film.srt, film.en.srt, film.English.sdh.vtt or film.mp4.srt beside it, its extension in
  // any case; never those of foreign parts only ("forced"), never a link. Of several that in the preferred language
  // (language_code(), empty: none is), then one that states none; SubRip before WebVTT. Errors: those of reading the
  // folder.
  Result<std::optional<SubtitleSidecar>> find(const std::string& media_path, std::string_view language);

 private:
  std::unordered_map<std::string, Result<std::vector<std::string>>> names_;  // sorted, by folder
};

}  // namespace image_engine::scan
