#include <algorithm>
#include <charconv>

#include "media/container_tags.h"
#include "media/demuxer.h"
#include "media/metadata_readers.h"
#include "media/text.h"

namespace image_engine::media {
namespace {

struct SoundText {
  std::string AudioInfo::*member;
  const char* key;  // FFmpeg's name for the tag of all containers
};
constexpr SoundText kSoundTexts[] = {
    {&AudioInfo::album, "album"},       {&AudioInfo::album_artist, "album_artist"},
    {&AudioInfo::composer, "composer"}, {&AudioInfo::genre, "genre"},
    {&AudioInfo::date, "date"},
};

// "3", "03", "3/12".
std::optional<std::int32_t> track_number(const std::string& text) {
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number <= 0) return std::nullopt;
  return number;
}

// A broadcast wave's, by the recorder's clock (EBU Tech 3285, 2.3): FFmpeg gives its day and its time of day apart.
std::optional<CaptureTime> broadcast_time(const AVFormatContext& input, const AVStream& stream) {
  const std::string day = tag_of(input, stream, "date"), time = tag_of(input, stream, "creation_time");
  const bool is_pair = day.size() == 10 && time.size() == 8;
  return is_pair ? parse_time(day + " " + time) : std::nullopt;
}

bool has_unknown_stream(const AVFormatContext& input) {
  return std::any_of(input.streams, input.streams + input.nb_streams,
                     [](const AVStream* stream) { return stream->codecpar->codec_type == AVMEDIA_TYPE_UNKNOWN; });
}

bool is_known(const AVStream& sound) {
  return sound.codecpar->sample_rate > 0 && sound.codecpar->ch_layout.nb_channels > 0;
}

double duration_of(const AVFormatContext& input, const AVStream& sound) {
  constexpr double kMostSeconds = 1e9;  // a damaged header's
  double seconds = 0;
  if (input.duration > 0) seconds = static_cast<double>(input.duration) / AV_TIME_BASE;
  if (seconds == 0 && sound.duration > 0) seconds = static_cast<double>(sound.duration) * av_q2d(sound.time_base);
  return seconds <= kMostSeconds ? seconds : 0;  // also for NaN
}

}  // namespace

Result<Metadata> read_sound_metadata(MediaFormat detected, Bytes file) {
  IE_TRY(Demuxer demuxer, Demuxer::open(detected, file));
  const AVFormatContext& input = demuxer.input();
  if (const auto* sound = demuxer.stream(AVMEDIA_TYPE_AUDIO); !sound || !is_known(*sound) || input.duration <= 0)
    demuxer.read_stream_facts();
  const auto* sound = demuxer.stream(AVMEDIA_TYPE_AUDIO);
  if (!sound) return fail(ErrorCode::kCorrupt, "the file has neither video nor sound");
  if (!is_known(*sound))
    return fail(ErrorCode::kCorrupt, "no sound was found in the file: it is damaged or incomplete");
  const MediaFormat format = as_audio(detected);
  if (format == MediaFormat::kNone) return fail(ErrorCode::kUnsupported, "the file has sound but no video");
  // What is left of a damaged video is no recording of sound.
  if (media_kind(detected) == MediaKind::kVideo && has_unknown_stream(input))
    return fail(ErrorCode::kCorrupt, "the video's streams cannot be read");

  Metadata metadata;
  metadata.format = format;
  metadata.audio_tracks = audio_tracks_of(input);
  read_container_texts(input, *sound, metadata);
  metadata.taken = detected == MediaFormat::kWav ? broadcast_time(input, *sound) : container_time(input, *sound);
  constexpr double kMostBitRate = 1e12;  // of a damaged header
  AudioInfo info;
  info.duration = duration_of(input, *sound);
  info.bit_rate = std::max<std::int64_t>(input.bit_rate, 0);
  if (info.bit_rate == 0 && info.duration > 0)
    info.bit_rate =
        static_cast<std::int64_t>(std::min(static_cast<double>(file.size()) * 8 / info.duration, kMostBitRate));
  for (const auto& [member, key] : kSoundTexts) info.*member = tag_of(input, *sound, key);
  info.track = track_number(tag_of(input, *sound, "track"));
  auto played = std::ranges::find(metadata.audio_tracks, true, &AudioTrack::is_default);
  if (played == metadata.audio_tracks.end()) played = metadata.audio_tracks.begin();
  info.codec = played->codec;
  info.channels = played->channels;
  info.sample_rate = played->sample_rate;
  // Ogg has the file's tags in its stream.
  if (played->title == metadata.title) played->title.clear();
  metadata.audio = std::move(info);
  return metadata;
}

}  // namespace image_engine::media
