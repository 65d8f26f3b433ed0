// Containers of videos and sound: every demuxer, from its header to what is kept of it.
#include <cmath>

#include "core/file.h"
#include "libraries.h"
#include "media/video_cut.h"

using namespace image_engine;

namespace {

void check_sound(const Metadata& metadata) {
  for (const AudioTrack& track : metadata.audio_tracks)
    if (!is_utf8(track.language) || !is_utf8(track.title)) std::abort();
  if (!metadata.audio) return;
  const AudioInfo& audio = *metadata.audio;
  if (!std::isfinite(audio.duration) || audio.duration < 0 || audio.bit_rate < 0 || metadata.audio_tracks.empty())
    std::abort();
  for (const auto* text : {&audio.album, &audio.album_artist, &audio.composer, &audio.genre, &audio.date})
    if (!is_utf8(*text)) std::abort();
  if (audio.track.value_or(1) < 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  const auto file = as_file(data, size);
  if (reader_of(media::detect_format(file)).codec != Codec::kFfmpeg) return -1;
  const auto metadata = media::read_metadata(file, {});
  if (!metadata) return 0;
  if (metadata->orientation < 1 || metadata->orientation > 8) std::abort();
  const auto kind = media_kind(metadata->format);
  if (metadata->video.has_value() != (kind == MediaKind::kVideo)) std::abort();
  if (metadata->audio.has_value() != (kind == MediaKind::kAudio)) std::abort();
  check_sound(*metadata);
  if (!metadata->video) return 0;
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
