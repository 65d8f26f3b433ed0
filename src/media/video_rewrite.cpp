#include "media/video_rewrite.h"

extern "C" {
#include <libavutil/imgutils.h>
}

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "core/text.h"
#include "media/demuxer.h"
#include "media/frame_pixels.h"
#include "media/hidden_areas.h"
#include "media/part_output.h"
#include "media/video_decoder.h"
#include "media/video_encoder.h"

namespace image_engine::media {
namespace {

tl::unexpected<Error> no_memory_to_rewrite() { return fail(ErrorCode::kOutOfMemory, "no memory to write a video"); }

bool is_kept(const AVStream& stream) {
  const AVMediaType type = stream.codecpar->codec_type;
  return type == AVMEDIA_TYPE_AUDIO || type == AVMEDIA_TYPE_SUBTITLE;
}

// FFmpeg's muxer of QuickTime refuses some that it has tags for.
bool can_hold_copy(const ClipFormatRow& row, const AVOutputFormat& muxer, AVCodecID codec) {
  constexpr AVCodecID kOnlyInMp4[] = {AV_CODEC_ID_OPUS, AV_CODEC_ID_FLAC, AV_CODEC_ID_TRUEHD};
  if (row.format == ClipFormat::kMov && std::ranges::find(kOnlyInMp4, codec) != std::end(kOnlyInMp4)) return false;
  return avformat_query_codec(&muxer, codec, FF_COMPLIANCE_NORMAL) == 1;
}

void keep_language(const AVStream& from, AVStream& to) {
  const AVDictionaryEntry* language = av_dict_get(from.metadata, "language", nullptr, 0);
  if (language != nullptr) av_dict_set(&to.metadata, "language", language->value, 0);
}

class Frame final : public EditedFrame {
 public:
  Frame(AVFrame& frame, double seconds, std::uint32_t orientation, bool is_replaced, FramePixels& pixels,
        ffmpeg::Frame& replacement)
      : frame_(frame),
        seconds_(seconds),
        orientation_(orientation),
        is_replaced_(is_replaced),
        pixels_(pixels),
        replacement_(replacement) {}

  [[nodiscard]] double seconds() const override { return seconds_; }
  [[nodiscard]] Size full_size() const override { return upright(display_size(frame_), orientation_); }
  Result<Image> picture(std::uint32_t max_edge) override { return pixels_.upright(frame_, orientation_, max_edge); }

  Status hide(std::span<const HiddenArea> areas, HideStyle style, std::uint32_t squares) override {
    if (areas.empty()) return {};
    if (av_frame_make_writable(&frame_) < 0) return no_memory_to_rewrite();
    return hide_areas(frame_, orientation_, areas, {style, squares});
  }
  Status hide_outside(const RawPicture& mask, HideStyle style, std::uint32_t squares) override {
    if (av_frame_make_writable(&frame_) < 0) return no_memory_to_rewrite();
    return media::hide_outside(frame_, orientation_, mask, {style, squares});
  }

  Status replace(const RawPicture& picture) override {
    if (!is_replaced_ || picture.width == 0 || (picture.channels != 3 && picture.channels != 4) ||
        picture.pixels.size() < std::size_t{picture.width} * picture.height * picture.channels)
      return fail(ErrorCode::kInvalidArgument, "not a picture for this video");
    ffmpeg::Frame made(av_frame_alloc());
    if (!made) return no_memory_to_rewrite();
    made->format = picture.channels == 4 ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24;
    made->width = static_cast<int>(picture.width);
    made->height = static_cast<int>(picture.height);
    if (av_frame_get_buffer(made.get(), 0) < 0) return no_memory_to_rewrite();
    const int row = static_cast<int>(picture.width * picture.channels);
    av_image_copy_plane(made->data[0], made->linesize[0], reinterpret_cast<const std::uint8_t*>(picture.pixels.data()),
                        row, row, made->height);
    made->sample_aspect_ratio = {1, 1};
    replacement_ = std::move(made);
    return {};
  }

 private:
  AVFrame& frame_;
  double seconds_;
  std::uint32_t orientation_;
  bool is_replaced_;
  FramePixels& pixels_;
  ffmpeg::Frame& replacement_;
};

class Rewriter {
 public:
  Rewriter(Demuxer demuxer, const RewriteOptions& options, const EditFrame& edit, const WritePart& write)
      : demuxer_(std::move(demuxer)), options_(options), row_(row_of(options.format)), edit_(edit), write_(write) {}

  Result<RewrittenVideo> run() {
    IE_CHECK(open());
    IE_CHECK(read_all());
    if (!encoder_) return fail(ErrorCode::kCorrupt, "none of the video's frames can be decoded");
    IE_CHECK(encoder_->finish([this](AVPacket& packet) { return put_encoded(packet); }));
    if (!output_->finish()) return cannot_hold_video();
    result_.codec = avcodec_get_name(encoder_->context().codec_id);
    result_.notes.insert(result_.notes.end(), encoder_->notes().begin(), encoder_->notes().end());
    if (broken_packets_ > 0)
      result_.notes.push_back(human_count(broken_packets_, "damaged packet was", "damaged packets were") + " left out");
    return std::move(result_);
  }

 private:
  [[nodiscard]] bool is_replaced() const { return options_.coding != VideoCoding::kAsSource; }

  [[nodiscard]] tl::unexpected<Error> cannot_hold_video() const {
    return fail(ErrorCode::kUnsupported, fmt::format("{} files cannot hold this video", row_.extension));
  }

  Status open() {
    demuxer_.read_stream_facts();
    video_ = demuxer_.stream(AVMEDIA_TYPE_VIDEO);
    if (video_ == nullptr) return fail(ErrorCode::kUnsupported, "the file has no video stream");
    orientation_ = orientation_of(*video_);
    IE_TRY(decoder_, open_video_decoder(*video_, {.threads = options_.threads, .max_pixels = options_.max_pixels}));
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    if (!packet_ || !frame_) return no_memory_to_rewrite();
    IE_TRY(PartOutput output, PartOutput::open(row_, write_));
    output_.emplace(std::move(output));
    const AVFormatContext& input = demuxer_.input();
    // Broadcasts begin at any time; other files at about zero, or where they say.
    const bool is_broadcast = std::string_view(input.iformat->name).starts_with("mpeg");
    start_ = is_broadcast && input.start_time != AV_NOPTS_VALUE ? input.start_time : 0;
    return choose_streams();
  }

  // The header is written when the encoder is known.
  Status choose_streams() {
    const AVFormatContext& input = demuxer_.input();
    outputs_.resize(input.nb_streams);
    outputs_[static_cast<size_t>(video_->index)] = avformat_new_stream(&output_->context(), nullptr);
    if (outputs_[static_cast<size_t>(video_->index)] == nullptr) return no_memory_to_rewrite();
    std::uint32_t others = 0;
    for (unsigned i = 0; i < input.nb_streams; ++i) {
      AVStream& stream = *input.streams[i];
      const bool is_wanted = is_kept(stream) && options_.with_sound;
      const bool fits = is_wanted && can_hold_copy(row_, *output_->context().oformat, stream.codecpar->codec_id);
      if (is_wanted && !fits)
        result_.notes.push_back(fmt::format("{} ({}) is left out: {} files cannot hold it",
                                            av_get_media_type_string(stream.codecpar->codec_type),
                                            avcodec_get_name(stream.codecpar->codec_id), row_.extension));
      if (!is_wanted && &stream != video_ && !is_kept(stream)) ++others;
      stream.discard = fits || &stream == video_ ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
      if (!fits) continue;
      IE_TRY(outputs_[i], output_->add_copy(stream));
      keep_language(stream, *outputs_[i]);
      ++(stream.codecpar->codec_type == AVMEDIA_TYPE_AUDIO ? result_.sound_tracks : result_.subtitle_tracks);
    }
    if (others > 0)
      result_.notes.push_back(human_count(others, "other track", "other tracks") +
                              " left out (data, positions, attached pictures)");
    return {};
  }

  Status begin(const AVFrame& first) {
    IE_TRY(VideoEncoder encoder, VideoEncoder::open(*video_, first, options_.coding, options_.threads));
    encoder_.emplace(std::move(encoder));
    AVStream& out = *outputs_[static_cast<size_t>(video_->index)];
    if (avcodec_parameters_from_context(out.codecpar, &encoder_->context()) < 0) return no_memory_to_rewrite();
    if (out.codecpar->codec_id == video_->codecpar->codec_id)
      out.codecpar->codec_tag = codec_tag(output_->context(), *video_->codecpar);
    out.time_base = video_->time_base;
    out.avg_frame_rate = video_->avg_frame_rate;
    out.sample_aspect_ratio = encoder_->context().sample_aspect_ratio;
    out.disposition = video_->disposition;
    keep_language(*video_, out);
    if (options_.coding == VideoCoding::kVp9Alpha) av_dict_set(&out.metadata, "alpha_mode", "1", 0);
    if (!is_replaced()) IE_CHECK(keep_side_data(out));
    AVDictionary* options = nullptr;
    if (row_.has_edit_list) av_dict_set_int(&options, "movie_timescale", movie_scale(), 0);
    const int code = avformat_write_header(&output_->context(), &options);
    av_dict_free(&options);
    if (code < 0) return cannot_hold_video();
    for (ffmpeg::Packet& packet : waiting_) IE_CHECK(put_copy(*packet));
    waiting_.clear();
    return {};
  }

  // By it edit lists are as exact as the frames' times.
  [[nodiscard]] int movie_scale() const {
    constexpr int kLeastScale = 10'000;
    int scale = video_->time_base.den;
    while (scale > 0 && scale < kLeastScale) scale *= 2;
    return scale;
  }

  Status keep_side_data(AVStream& out) {
    constexpr AVPacketSideDataType kKept[] = {AV_PKT_DATA_DISPLAYMATRIX,       AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
                                              AV_PKT_DATA_CONTENT_LIGHT_LEVEL, AV_PKT_DATA_STEREO3D,
                                              AV_PKT_DATA_SPHERICAL,           AV_PKT_DATA_ICC_PROFILE};
    for (int i = 0; i < video_->nb_side_data; ++i) {
      const AVPacketSideData& data = video_->side_data[i];
      if (data.type == AV_PKT_DATA_DOVI_CONF)
        result_.notes.emplace_back("Dolby Vision's own data are left out: its base layer is kept");
      if (std::ranges::find(kKept, data.type) == std::end(kKept)) continue;
      if (data.type == AV_PKT_DATA_DISPLAYMATRIX && !row_.has_display_matrix && orientation_ != 1)
        result_.notes.push_back(
            fmt::format("{} files cannot hold a turned picture: it lies as it was stored", row_.extension));
      std::uint8_t* copy = av_stream_new_side_data(&out, data.type, data.size);
      if (copy == nullptr) return no_memory_to_rewrite();
      std::copy_n(data.data, data.size, copy);
    }
    return {};
  }

  Status read_all() {
    for (;;) {
      av_packet_unref(packet_.get());
      const int code = av_read_frame(&demuxer_.input(), packet_.get());
      if (code < 0) {
        if (code != AVERROR_EOF)
          result_.notes.emplace_back("the file is damaged or ends early: what was made ends there");
        break;
      }
      if (packet_->stream_index == video_->index) {
        if (avcodec_send_packet(decoder_.get(), packet_.get()) < 0) ++broken_packets_;
        IE_CHECK(take_frames());
      } else if (packet_->stream_index < static_cast<int>(outputs_.size()) &&
                 outputs_[static_cast<size_t>(packet_->stream_index)] != nullptr && packet_->size > 0) {
        IE_CHECK(encoder_ ? put_copy(*packet_) : keep_waiting());
      }
    }
    avcodec_send_packet(decoder_.get(), nullptr);
    return take_frames();
  }

  // Until the first frame is there.
  Status keep_waiting() {
    constexpr std::size_t kMostBytes = std::size_t{64} << 20;
    waiting_bytes_ += static_cast<std::size_t>(packet_->size);
    if (waiting_bytes_ > kMostBytes)
      return fail(ErrorCode::kUnsupported, "the first frame comes too late behind the sound");
    waiting_.emplace_back(av_packet_clone(packet_.get()));
    return waiting_.back() ? Status() : no_memory_to_rewrite();
  }

  Status take_frames() {
    constexpr int kMostErrors = 64;  // in a row: more than decoders have threads
    for (int errors = 0; errors < kMostErrors;) {
      const int got = avcodec_receive_frame(decoder_.get(), frame_.get());
      if (got == AVERROR(EAGAIN) || got == AVERROR_EOF) break;
      if (got < 0) {
        ++broken_packets_, ++errors;
        continue;
      }
      errors = 0;
      if (frame_->width > 0 && frame_->height > 0) IE_CHECK(take(*frame_));
    }
    return {};
  }

  // As VideoReader has it: a frame without a time, or with one that goes back, follows the one before.
  std::int64_t time_of(const AVFrame& frame) const {
    const std::int64_t time = frame.pts != AV_NOPTS_VALUE ? frame.pts : frame.best_effort_timestamp;
    if (last_ && (time == AV_NOPTS_VALUE || time <= *last_)) {
      const double rate = av_q2d(video_->avg_frame_rate), tick = av_q2d(video_->time_base);
      constexpr double kUnknownRate = 25;
      return *last_ + std::max<std::int64_t>(1, std::llround(1 / ((rate > 0 ? rate : kUnknownRate) * tick)));
    }
    return time == AV_NOPTS_VALUE ? 0 : time;
  }

  Status take(AVFrame& frame) {
    const std::int64_t time = time_of(frame);
    last_ = time;
    durations_[time] = frame.pkt_duration;
    ffmpeg::Frame replacement;
    Frame edited(frame, static_cast<double>(time) * av_q2d(video_->time_base), orientation_, is_replaced(), pixels_,
                 replacement);
    IE_CHECK(edit_(edited));
    if (is_replaced() && !replacement) return fail(ErrorCode::kInternal, "a frame was not replaced");
    AVFrame& ready = replacement ? *replacement : frame;
    ready.pts = time;
    if (!encoder_) {
      size_ = {static_cast<std::uint32_t>(ready.width), static_cast<std::uint32_t>(ready.height)};
      IE_CHECK(begin(ready));
    }
    if (static_cast<std::uint32_t>(ready.width) != size_.width ||
        static_cast<std::uint32_t>(ready.height) != size_.height)
      return fail(ErrorCode::kUnsupported, "the size of the video's frames changes");
    ++result_.frames;
    return encoder_->put(ready, [this](AVPacket& packet) { return put_encoded(packet); });
  }

  Status put_encoded(AVPacket& packet) {
    const auto duration = durations_.find(packet.pts);
    if (duration != durations_.end()) {
      packet.duration = duration->second;
      durations_.erase(duration);
    }
    return put(packet, *video_);
  }

  Status put_copy(AVPacket& packet) { return put(packet, *demuxer_.input().streams[packet.stream_index]); }

  Status put(AVPacket& packet, const AVStream& in) {
    const AVStream& out = *outputs_[static_cast<size_t>(in.index)];
    const std::int64_t shift = start_ == 0 ? 0 : av_rescale_q(start_, AV_TIME_BASE_Q, in.time_base);
    if (packet.pts != AV_NOPTS_VALUE) packet.pts -= shift;
    if (packet.dts != AV_NOPTS_VALUE) packet.dts -= shift;
    av_packet_rescale_ts(&packet, in.time_base, out.time_base);
    packet.stream_index = out.index;
    packet.pos = -1;
    if (av_interleaved_write_frame(&output_->context(), &packet) < 0) return cannot_hold_video();
    return {};
  }

  Demuxer demuxer_;
  const RewriteOptions& options_;
  const ClipFormatRow& row_;
  const EditFrame& edit_;
  const WritePart& write_;
  AVStream* video_ = nullptr;
  std::uint32_t orientation_ = 1;
  ffmpeg::CodecContext decoder_;
  ffmpeg::Packet packet_;
  ffmpeg::Frame frame_;
  FramePixels pixels_;
  std::optional<PartOutput> output_;
  std::optional<VideoEncoder> encoder_;
  std::vector<AVStream*> outputs_;       // by the source's streams; null: left out
  std::vector<ffmpeg::Packet> waiting_;  // copies, until the header is written
  std::size_t waiting_bytes_ = 0;
  std::map<std::int64_t, std::int64_t> durations_;  // of the frames in the encoder, by their times
  std::optional<std::int64_t> last_;                // time of the last frame, ticks
  Size size_;                                       // of the frames that are encoded
  std::int64_t start_ = 0;                          // microseconds of the source; zero of what is made
  std::uint64_t broken_packets_ = 0;
  RewrittenVideo result_;
};

}  // namespace

Result<RewrittenVideo> rewrite_video(Bytes file, const RewriteOptions& options, const EditFrame& edit,
                                     const WritePart& write) {
  const MediaFormat format = as_video(detect_format(file));
  if (format == MediaFormat::kNone) return fail(ErrorCode::kUnsupported, "this is not a video");
  IE_TRY(Demuxer demuxer, Demuxer::open(format, file, options.is_mapped));
  return Rewriter(std::move(demuxer), options, edit, write).run();
}

}  // namespace image_engine::media
