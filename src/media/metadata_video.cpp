extern "C" {
#include <libavutil/display.h>
}

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "media/ffmpeg.h"
#include "media/libraries.h"
#include "media/metadata_readers.h"
#include "media/resize.h"
#include "media/text.h"

namespace image_engine::media {
namespace {

constexpr int kBuffer = 32 << 10;
constexpr const char* kProbeBytes = "1000000";
constexpr const char* kProbeTime = "2000000";  // microseconds

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
    {&Metadata::copyright, {"com.apple.quicktime.copyright", "copyright"}},
};
// Apple's has the zone; creation_time is UTC (ISO/IEC 14496-12, 8.2.2).
constexpr std::array kContainerTimes{"com.apple.quicktime.creationdate", "creation_time", "date"};
constexpr std::array kPlaces{"com.apple.quicktime.location.ISO6709", "location", "location-eng"};

// FFmpeg's input from memory.
struct Reader {
  Bytes bytes;
  std::int64_t at = 0;

  static int read(void* opaque, std::uint8_t* into, int count) {
    auto& self = *static_cast<Reader*>(opaque);
    const auto left = static_cast<std::int64_t>(self.bytes.size()) - self.at;
    if (left <= 0) return AVERROR_EOF;
    const auto n = std::min<std::int64_t>(left, count);
    std::memcpy(into, self.bytes.data() + self.at, static_cast<size_t>(n));
    self.at += n;
    return static_cast<int>(n);
  }
  static std::int64_t seek(void* opaque, std::int64_t offset, int whence) {
    auto& self = *static_cast<Reader*>(opaque);
    const auto size = static_cast<std::int64_t>(self.bytes.size());
    if (whence & AVSEEK_SIZE) return size;
    const auto base = whence == SEEK_CUR ? self.at : whence == SEEK_END ? size : 0;
    if (offset > size || base + offset < 0 || base + offset > size) return AVERROR(EINVAL);
    return self.at = base + offset;
  }
};

// The demuxer is named, never guessed: FFmpeg also has demuxers that are play lists of other files.
Result<ffmpeg::Input> open(MediaFormat format, AVIOContext* io) {
  const AVInputFormat* demuxer = av_find_input_format(reader_of(format).name);
  AVFormatContext* context = avformat_alloc_context();
  if (!demuxer || !context) {
    avformat_free_context(context);
    return fail(ErrorCode::kUnsupported, "this FFmpeg cannot read such videos");
  }
  context->pb = io;
  context->io_open = [](AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); };
  AVDictionary* options = nullptr;
  av_dict_set(&options, "probesize", kProbeBytes, 0);
  av_dict_set(&options, "analyzeduration", kProbeTime, 0);
  const int code = avformat_open_input(&context, nullptr, demuxer, &options);
  av_dict_free(&options);
  if (code < 0) return fail(ErrorCode::kCorrupt, "the video's header cannot be read");
  return ffmpeg::Input(context);
}

const AVStream* stream_of(const AVFormatContext& input, AVMediaType type) {
  for (unsigned i = 0; i < input.nb_streams; ++i) {
    const auto* stream = input.streams[i];
    if (stream->codecpar->codec_type == type && !(stream->disposition & AV_DISPOSITION_ATTACHED_PIC)) return stream;
  }
  return nullptr;
}

// The container's tag, or else the video stream's.
std::string tag_of(const AVFormatContext& input, const AVStream& stream, const char* key) {
  if (!key) return {};
  const auto* entry = av_dict_get(input.metadata, key, nullptr, 0);
  if (!entry) entry = av_dict_get(stream.metadata, key, nullptr, 0);
  return entry ? clean_text(entry->value) : std::string();
}

// The display matrix as an EXIF orientation; a turn that is no quarter counts as none.
std::uint32_t orientation_of(const AVStream& stream) {
  size_t size = 0;
  const auto* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (!data || size < 9 * sizeof(std::int32_t)) return 1;
  std::array<std::int32_t, 9> matrix{};
  std::memcpy(matrix.data(), data, sizeof matrix);
  const double counter_clockwise = av_display_rotation_get(matrix.data());
  if (!std::isfinite(counter_clockwise)) return 1;
  static constexpr std::array<std::uint32_t, 4> kByQuarters{1, 8, 3, 6};
  return kByQuarters[static_cast<size_t>(static_cast<int>(std::lround(counter_clockwise / 90)) & 3)];
}

std::optional<CaptureTime> time_of(const AVFormatContext& input, const AVStream& stream) {
  for (const char* key : kContainerTimes) {
    auto time = parse_time(tag_of(input, stream, key));
    // Zero in QuickTime's and in Unix's count of seconds: a clock that was never set.
    if (!time || time->local.starts_with("1904-01-01") || time->local.starts_with("1970-01-01")) continue;
    if (const auto end = time->local.find(".000000"); end != std::string::npos) time->local.resize(end);
    return time;
  }
  return std::nullopt;
}

}  // namespace

void init_video() { av_log_set_level(AV_LOG_QUIET); }

std::string ffmpeg_version() { return av_version_info(); }

Result<Metadata> read_video_metadata(MediaFormat format, Bytes file) {
  Reader reader{file};
  auto* buffer = static_cast<unsigned char*>(av_malloc(kBuffer));
  const ffmpeg::Io io(avio_alloc_context(buffer, kBuffer, 0, &reader, Reader::read, nullptr, Reader::seek));
  if (!io) {
    av_free(buffer);
    return fail(ErrorCode::kOutOfMemory, "no memory to read a video's header");
  }
  IE_TRY(const ffmpeg::Input input, open(format, io.get()));
  const auto complete = [&] {
    const auto* video = stream_of(*input, AVMEDIA_TYPE_VIDEO);
    return video && video->codecpar->width > 0 && input->duration > 0 && video->avg_frame_rate.num > 0;
  };
  if (!complete()) avformat_find_stream_info(input.get(), nullptr);
  const auto* video = stream_of(*input, AVMEDIA_TYPE_VIDEO);
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
  if (input->duration > 0) info.duration = static_cast<double>(input->duration) / AV_TIME_BASE;
  if (video->avg_frame_rate.num > 0 && video->avg_frame_rate.den > 0) info.frame_rate = av_q2d(video->avg_frame_rate);
  info.video_codec = avcodec_get_name(video->codecpar->codec_id);
  if (const auto* audio = stream_of(*input, AVMEDIA_TYPE_AUDIO))
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
