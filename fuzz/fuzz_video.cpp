// Containers of videos: every demuxer, from its header to what is kept of it.
#include <cmath>

#include "core/file.h"
#include "libraries.h"
#include "media/video_cut.h"

using namespace image_engine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  const auto file = as_file(data, size);
  if (media_kind(media::detect_format(file)) != MediaKind::kVideo) return -1;
  const auto metadata = media::read_metadata(file, {});
  if (!metadata) return 0;
  if (!metadata->video || metadata->orientation < 1 || metadata->orientation > 8) std::abort();
  const auto& video = *metadata->video;
  if (!std::isfinite(video.duration) || video.duration < 0 || !std::isfinite(video.frame_rate) || video.frame_rate < 0)
    std::abort();
  for (const auto* text : {&metadata->make, &metadata->model, &metadata->software, &metadata->title,
                           &metadata->description, &metadata->creator, &metadata->copyright})
    if (!is_utf8(*text)) std::abort();
  if (metadata->gps && !(std::abs(metadata->gps->latitude) <= 90 && std::abs(metadata->gps->longitude) <= 180))
    std::abort();
  for (const ClipFormatRow& row : kClipFormats) {
    std::uint64_t written = 0;
    const auto count = [&](std::uint64_t, media::Bytes bytes) { written += bytes.size(); };
    const auto cut = media::cut_video(file, {0.1, 2, row.format, false}, count);
    if (cut && (written == 0 || !(cut->from <= cut->to) || cut->video_codecs.empty())) std::abort();
  }
  return 0;
}
