#include "media/video_reader.h"

extern "C" {
#include <libavutil/dovi_meta.h>
#include <libavutil/opt.h>
}

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/text.h"
#include "media/container_end.h"
#include "media/decoders.h"
#include "media/demuxer.h"
#include "media/frame_pixels.h"
#include "media/video_decoder.h"

namespace image_engine::media {
namespace {

constexpr double kUnknownFrame = 0.04;  // seconds, where no rate is stated

tl::unexpected<Error> no_memory() { return fail(ErrorCode::kOutOfMemory, "no memory to decode a video"); }

// Dolby Vision's profile 5 has no base layer that another decoder could show: its colours need Dolby's own transform.
bool is_profile_5(const AVStream& stream) {
  size_t size = 0;
  const auto* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DOVI_CONF, &size);
  return data != nullptr && size >= sizeof(AVDOVIDecoderConfigurationRecord) &&
         reinterpret_cast<const AVDOVIDecoderConfigurationRecord*>(data)->dv_profile == 5;
}

}  // namespace

struct VideoReader::State {
  State(Demuxer opened, VideoReaderOptions wanted) : demuxer(std::move(opened)), options(wanted) {}

  Demuxer demuxer;
  VideoReaderOptions options;
  AVStream* stream = nullptr;
  ffmpeg::CodecContext decoder;
  ffmpeg::Packet packet;
  ffmpeg::Frame frame, ahead;  // at hand; decoded by seek() to know where `frame` ends
  bool has_ahead = false;
  bool give_again = false;  // next() gives `frame` as it is: seek() has found it
  bool is_at_end = false;   // of the container
  FramePixels pixels;
  std::uint32_t orientation = 1;
  double last = -1;  // seconds; of `frame`
  bool has_last = false;
  std::uint64_t frames = 0, broken_packets = 0;
  int read_error = 0;
  std::uint64_t missing_bytes = 0;

  [[nodiscard]] double frame_seconds() const {
    const double rate = av_q2d(stream->avg_frame_rate);
    return std::isfinite(rate) && rate > 0 ? 1 / rate : kUnknownFrame;
  }

  // Null at the end.
  AVFrame* decode(AVFrame* into) {
    constexpr int kMostErrorsAtEnd = 64;  // more than decoders have threads
    int errors_at_end = 0;
    for (;;) {
      const int got = avcodec_receive_frame(decoder.get(), into);
      if (got >= 0 && into->width > 0 && into->height > 0) return into;
      if (got == AVERROR_EOF || (is_at_end && got == AVERROR(EAGAIN))) return nullptr;
      if (got != AVERROR(EAGAIN) && got < 0) ++broken_packets;
      if (is_at_end && ++errors_at_end > kMostErrorsAtEnd) return nullptr;
      if (is_at_end) continue;  // what other threads of the decoder hold may be good
      const int read = av_read_frame(&demuxer.input(), packet.get());
      if (read < 0) {
        if (read != AVERROR_EOF) read_error = read;
        avcodec_send_packet(decoder.get(), nullptr);
        is_at_end = true;
        continue;
      }
      if (packet->stream_index == stream->index && avcodec_send_packet(decoder.get(), packet.get()) < 0)
        ++broken_packets;
      av_packet_unref(packet.get());
    }
  }

  [[nodiscard]] double time_of(const AVFrame& decoded) const {
    // FFmpeg's guess only where there is no time: it goes wrong when frames are left out.
    const std::int64_t time = decoded.pts != AV_NOPTS_VALUE ? decoded.pts : decoded.best_effort_timestamp;
    return time == AV_NOPTS_VALUE ? std::nan("") : static_cast<double>(time) * av_q2d(stream->time_base);
  }

  // `frame` is the next one; null at the end.
  const AVFrame* advance() {
    if (has_ahead) {
      std::swap(frame, ahead);
      has_ahead = false;
    } else if (decode(frame.get()) == nullptr) {
      return nullptr;
    }
    const double time = time_of(*frame);
    const double expected = has_last ? last + frame_seconds() : 0;
    last = std::isnan(time) || (has_last && time <= last) ? expected : time;
    has_last = true;
    ++frames;
    return frame.get();
  }

  // The next frame decoded is a key frame at or before `seconds`, or the first of all.
  Status restart_at(double seconds) {
    const auto time = static_cast<std::int64_t>(std::floor(seconds / av_q2d(stream->time_base)));
    if (av_seek_frame(&demuxer.input(), stream->index, time, AVSEEK_FLAG_BACKWARD) < 0 &&
        av_seek_frame(&demuxer.input(), stream->index, 0, AVSEEK_FLAG_BYTE) < 0)
      return fail(ErrorCode::kUnsupported, "the video cannot be read from a given time on");
    avcodec_flush_buffers(decoder.get());
    has_ahead = has_last = is_at_end = give_again = false;
    return {};
  }
};

VideoReader::VideoReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
VideoReader::VideoReader(VideoReader&&) noexcept = default;
VideoReader::~VideoReader() = default;

Result<VideoReader> VideoReader::open(Bytes file, const VideoReaderOptions& options) {
  const MediaFormat format = as_video(detect_format(file));
  if (format == MediaFormat::kNone) return fail(ErrorCode::kUnsupported, "this is not a video");
  IE_TRY(Demuxer demuxer, Demuxer::open(format, file, options.is_mapped));
  auto state = std::make_unique<State>(std::move(demuxer), options);
  // Codecs of some containers, AVI's and MPEG's among them, are only known from the first packets.
  state->demuxer.read_stream_facts();
  state->stream = state->demuxer.stream(AVMEDIA_TYPE_VIDEO);
  if (state->stream == nullptr) return fail(ErrorCode::kUnsupported, "the file has no video stream");
  for (unsigned i = 0; i < state->demuxer.input().nb_streams; ++i) {
    AVStream* stream = state->demuxer.input().streams[i];
    // Never AVDISCARD_NONKEY: FFmpeg's demuxer of MP4 then gives key frames the times of others.
    stream->discard = stream == state->stream ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
  }
  state->orientation = orientation_of(*state->stream);
  state->missing_bytes = missing_bytes(file, format);
  IE_TRY(state->decoder,
         open_video_decoder(*state->stream, {options.key_frames_only, options.threads, options.max_pixels}));
  state->packet.reset(av_packet_alloc());
  state->frame.reset(av_frame_alloc());
  state->ahead.reset(av_frame_alloc());
  if (!state->packet || !state->frame || !state->ahead) return no_memory();
  return VideoReader(std::move(state));
}

Result<std::optional<VideoFrame>> VideoReader::next() {
  const AVFrame* frame = std::exchange(state_->give_again, false) ? state_->frame.get() : state_->advance();
  if (frame != nullptr) return VideoFrame{state_->last, frame->key_frame != 0};
  if (state_->frames == 0 && state_->broken_packets > 0)
    return fail(ErrorCode::kCorrupt, "none of the video's frames can be decoded");
  return std::nullopt;
}

Status VideoReader::seek(double seconds) {
  State& s = *state_;
  // The index of some containers goes by decoding time, and a key frame may be shown after frames that follow it in the
  // file: back until the first frame is early enough.
  constexpr double kSlack = 5e-4;  // seconds: times come rounded to milliseconds
  double target = seconds;
  for (double back = 1;; back *= 2) {
    IE_CHECK(s.restart_at(target));
    if (s.advance() == nullptr) {
      if (target <= 0) return {};
    } else if (s.last <= seconds + kSlack || target <= 0) {
      break;
    }
    target = std::max(seconds - back, 0.0);
  }
  // `frame` is shown by then; is the next one, too?
  while (s.has_last) {
    if (s.decode(s.ahead.get()) == nullptr) break;
    const double time = s.time_of(*s.ahead);
    const double begins = std::isnan(time) || time <= s.last ? s.last + s.frame_seconds() : time;
    s.has_ahead = true;
    if (begins > seconds + kSlack) break;
    s.advance();
  }
  s.give_again = s.has_last;
  return {};
}

Result<Image> VideoReader::picture(std::uint32_t max_edge, LumaAccumulator* luma) {
  return state_->pixels.upright(*state_->frame, state_->orientation, max_edge, luma);
}

Result<Image> VideoReader::rough_picture(std::uint32_t max_edge) {
  const AVFrame& frame = *state_->frame;
  if (media::is_hdr(frame)) return picture(max_edge);
  const Size to = fit(display_size(frame), max_edge);
  Image image{to.width, to.height, {}};
  image.pixels.resize(image.row_bytes() * image.height);
  IE_CHECK(reduce(to, image.pixels));
  return apply_orientation(std::move(image), state_->orientation);
}

Status VideoReader::reduce(Size size, std::span<std::uint8_t> rgb) {
  return state_->pixels.reduce(*state_->frame, size, rgb);
}

Size VideoReader::full_size() const { return upright(display_size(*state_->frame), state_->orientation); }

double VideoReader::duration() const {
  const AVStream& stream = *state_->stream;
  if (stream.duration > 0) return static_cast<double>(stream.duration) * av_q2d(stream.time_base);
  return std::max(static_cast<double>(state_->demuxer.input().duration) / AV_TIME_BASE, 0.0);
}

bool VideoReader::is_cut_off() const { return state_->read_error != 0 || state_->missing_bytes > 0; }

double VideoReader::frame_rate() const {
  const double rate = av_q2d(state_->stream->avg_frame_rate);
  return std::isfinite(rate) && rate > 0 ? rate : 0;
}

Result<Decoded> decode_video_frame(Bytes file, const DecodeOptions& options) {
  if (!options.at) return fail(ErrorCode::kUnsupported, "this is a video, not a picture");
  IE_TRY(VideoReader reader, VideoReader::open(file, {.max_pixels = options.max_pixels}));
  IE_CHECK(reader.seek(*options.at));
  IE_TRY(const auto frame, reader.next());
  if (!frame) return fail(ErrorCode::kCorrupt, "the video has no frame that can be decoded");
  Decoded decoded;
  IE_TRY(decoded.image, reader.picture(options.max_edge, options.luma));
  const Size full = reader.full_size();
  decoded.full_width = full.width;
  decoded.full_height = full.height;
  decoded.warnings = reader.warnings();
  return decoded;
}

std::uint32_t VideoReader::streams(StreamKind kind) const {
  const AVFormatContext& input = state_->demuxer.input();
  const AVMediaType type = kind == StreamKind::kAudio ? AVMEDIA_TYPE_AUDIO : AVMEDIA_TYPE_SUBTITLE;
  return static_cast<std::uint32_t>(
      std::count_if(input.streams, input.streams + input.nb_streams,
                    [&](const AVStream* stream) { return stream->codecpar->codec_type == type; }));
}

bool VideoReader::is_hdr() const {
  const AVColorTransferCharacteristic transfer = state_->decoder->color_trc;
  return transfer == AVCOL_TRC_SMPTE2084 || transfer == AVCOL_TRC_ARIB_STD_B67;
}

std::vector<std::string> VideoReader::warnings() const {
  std::vector<std::string> warnings;
  if (is_profile_5(*state_->stream))
    warnings.emplace_back("Dolby Vision profile 5: colours are not true, as only Dolby's own decoder knows them");
  if (state_->broken_packets > 0)
    warnings.push_back(human_count(state_->broken_packets, "damaged packet was", "damaged packets were") + " left out");
  return warnings;
}

}  // namespace image_engine::media
