// Subtitles: files of their own, and streams of videos.
#include "core/text.h"
#include "libraries.h"
#include "media/subtitles.h"

using namespace image_engine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  const auto track = media::read_subtitles(as_file(data, size), {"en", false});
  if (!track) return 0;
  double last = 0;
  size_t bytes = 0;
  for (const SubtitleCue& cue : track->cues) {
    if (!(cue.from >= last) || !(cue.to >= cue.from) || cue.to > 1e9) std::abort();
    if (cue.text.empty() || cue.text.find('\0') != std::string::npos || !is_utf8(cue.text)) std::abort();
    last = cue.from;
    bytes += cue.text.size();
  }
  if (track->cues.size() > media::kMostCues || bytes > media::kMostCuesBytes) std::abort();
  return 0;
}
