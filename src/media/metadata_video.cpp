#include <algorithm>
#include <array>

#include "media/demuxer.h"
#include "media/libraries.h"
#include "media/metadata_readers.h"
#include "media/resize.h"
#include "media/text.h"

namespace image_engine::media {
namespace {

struct ContainerText {
  std::string Metadata::*member;
  std::array<const char*, 4> keys;
};
constexpr ContainerText kContainerTexts[] = {
    {&Metadata::make, {"com.apple.quicktime.make", "com.android.manufacturer", "make"}},
    {&Metadata::model, {"com.apple.quicktime.model", "com.android.model", "model"}},
    {&Metadata::software, {"com.apple.quicktime.software", "software", "encoder"}},
    {&Metadata::title, {"com.apple.quicktime.title", "title"}},
    {&Metadata::description, {"com.apple.quicktime.description", "description", "comment"}},
    {&Metadata::creator, {"com.apple.quicktime.author", "artist", "author"}},
    {&Metadata::content_identifier, {"com.apple.quicktime.content.identifier"}},
    {&Metadata::copyright, {"com.apple.quicktime.copyright", "copyright"}},
};
// Apple's has the zone; creation_time is UTC (ISO/IEC 14496-12, 8.2.2).
constexpr std::array kContainerTimes{"com.apple.quicktime.creationdate", "creation_time", "date"};
constexpr std::array kPlaces{"com.apple.quicktime.location.ISO6709", "location", "location-eng"};

// MP4's creation_time is UTC; these cameras have no zone and write their clock's local time there. Brands of the file.
constexpr std::array kLocalBrands{"CAEP", "niko", "pana", "caqv"};
constexpr std::string_view kGoPro = "GoPro";  // begins its streams' names

// The container's tag, or else the video stream's.
std::string tag_of(const AVFormatContext& input, const AVStream& stream, const char* key) {
  if (!key) return {};
  const auto* entry = av_dict_get(input.metadata, key, nullptr, 0);
  if (!entry) entry = av_dict_get(stream.metadata, key, nullptr, 0);
  return entry ? clean_text(entry->value) : std::string();
}

bool writes_local_time(const AVFormatContext& input, const AVStream& stream) {
  const std::string brand = tag_of(input, stream, "major_brand");
  const auto* handler = av_dict_get(stream.metadata, "handler_name", nullptr, 0);
  const bool is_gopro = handler != nullptr && clean_text(handler->value).find(kGoPro) != std::string::npos;
  return is_gopro || std::ranges::find(kLocalBrands, brand) != kLocalBrands.end();
}

std::optional<CaptureTime> time_of(const AVFormatContext& input, const AVStream& stream) {
  for (const char* key : kContainerTimes) {
    auto time = parse_time(tag_of(input, stream, key));
    // Zero in QuickTime's and in Unix's count of seconds: a clock that was never set.
    if (!time || time->local.starts_with("1904-01-01") || time->local.starts_with("1970-01-01")) continue;
    if (std::string_view(key) == "creation_time" && writes_local_time(input, stream)) time->offset_minutes.reset();
    if (const auto end = time->local.find(".000000"); end != std::string::npos) time->local.resize(end);
    return time;
  }
  return std::nullopt;
}

}  // namespace

void init_video() { av_log_set_level(AV_LOG_QUIET); }

std::string ffmpeg_version() { return av_version_info(); }

Result<Metadata> read_video_metadata(MediaFormat format, Bytes file) {
  IE_TRY(Demuxer demuxer, Demuxer::open(format, file));
  const AVFormatContext* input = &demuxer.input();
  const auto complete = [&] {
    const auto* video = demuxer.stream(AVMEDIA_TYPE_VIDEO);
    return video && video->codecpar->width > 0 && input->duration > 0 && video->avg_frame_rate.num > 0;
  };
  if (!complete()) demuxer.read_stream_facts();
  const auto* video = demuxer.stream(AVMEDIA_TYPE_VIDEO);
  if (!video) return fail(ErrorCode::kUnsupported, "the file has sound but no video");

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
  for (const auto& field : kContainerTexts)
    for (const char* key : field.keys)
      if (auto& text = metadata.*field.member; text.empty()) text = tag_of(*input, *video, key);
  metadata.taken = time_of(*input, *video);
  for (const char* key : kPlaces)
    if (!metadata.gps) metadata.gps = parse_iso6709(tag_of(*input, *video, key));
  return metadata;
}

}  // namespace image_engine::media
