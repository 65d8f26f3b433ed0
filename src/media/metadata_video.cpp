#include <algorithm>

#include "media/container_tags.h"
#include "media/demuxer.h"
#include "media/libraries.h"
#include "media/metadata_readers.h"
#include "media/resize.h"

namespace image_engine::media {

void init_video() { av_log_set_level(AV_LOG_QUIET); }

std::string ffmpeg_version() { return av_version_info(); }

Result<Metadata> read_container_metadata(MediaFormat detected, Bytes file) {
  const MediaFormat format = as_video(detected);
  if (format == MediaFormat::kNone) return read_sound_metadata(detected, file);
  IE_TRY(Demuxer demuxer, Demuxer::open(format, file));
  const AVFormatContext* input = &demuxer.input();
  const auto complete = [&] {
    const auto* video = demuxer.stream(AVMEDIA_TYPE_VIDEO);
    return video && video->codecpar->width > 0 && input->duration > 0 && video->avg_frame_rate.num > 0;
  };
  if (!complete()) demuxer.read_stream_facts();
  const auto* video = demuxer.stream(AVMEDIA_TYPE_VIDEO);
  if (!video) return read_sound_metadata(detected, file);

  Metadata metadata;
  metadata.format = format;
  metadata.orientation = orientation_of(*video);
  const Size size = upright({static_cast<std::uint32_t>(std::max(video->codecpar->width, 0)),
                             static_cast<std::uint32_t>(std::max(video->codecpar->height, 0))},
                            metadata.orientation);
  metadata.width = size.width;
  metadata.height = size.height;
  VideoInfo info;
  constexpr double kMostSeconds = 1e9;  // a damaged header's
  if (input->duration > 0) info.duration = static_cast<double>(input->duration) / AV_TIME_BASE;
  if (info.duration > kMostSeconds) info.duration = 0;
  if (video->avg_frame_rate.num > 0 && video->avg_frame_rate.den > 0) info.frame_rate = av_q2d(video->avg_frame_rate);
  info.video_codec = avcodec_get_name(video->codecpar->codec_id);
  if (const auto* audio = demuxer.stream(AVMEDIA_TYPE_AUDIO))
    info.audio_codec = avcodec_get_name(audio->codecpar->codec_id);
  info.bit_rate = std::max<std::int64_t>(input->bit_rate, 0);
  metadata.video = info;
  metadata.audio_tracks = audio_tracks_of(*input);
  read_container_texts(*input, *video, metadata);
  metadata.taken = container_time(*input, *video);
  return metadata;
}

}  // namespace image_engine::media
