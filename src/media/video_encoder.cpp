#include "media/video_encoder.h"

extern "C" {
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace image_engine::media {
namespace {

struct EncoderOption {
  const char* name = nullptr;
  const char* value = nullptr;
};

// Qualities are such that what is not changed looks as before, and speeds such that two cores encode 1080p in about
// real time, except x265's and libaom's.
struct EncoderRow {
  AVCodecID codec;
  const char* name;  // FFmpeg's
  bool needs_even;   // edges, where colours are halved
  std::array<EncoderOption, 5> options;
};
constexpr std::array kEncoders{
    EncoderRow{AV_CODEC_ID_H264, "libx264", true, {{{"preset", "veryfast"}, {"crf", "18"}}}},
    EncoderRow{AV_CODEC_ID_HEVC, "libx265", true, {{{"preset", "superfast"}, {"crf", "20"}}}},
    EncoderRow{
        AV_CODEC_ID_VP8, "libvpx", false, {{{"deadline", "good"}, {"cpu-used", "5"}, {"crf", "8"}, {"b", "12M"}}}},
    EncoderRow{AV_CODEC_ID_VP9,
               "libvpx-vp9",
               false,
               {{{"deadline", "good"}, {"cpu-used", "6"}, {"crf", "22"}, {"b", "0"}, {"row-mt", "1"}}}},
    EncoderRow{AV_CODEC_ID_AV1, "libsvtav1", true, {{{"preset", "10"}, {"crf", "28"}}}},
    EncoderRow{AV_CODEC_ID_PRORES, "prores_ks", false, {{{"vendor", "apl0"}}}},
};

const EncoderRow* encoder_of(AVCodecID codec) {
  const auto* const row = std::ranges::find(kEncoders, codec, &EncoderRow::codec);
  return row == kEncoders.end() ? nullptr : row;
}

AVCodecID codec_of(const AVStream& source, VideoCoding coding) {
  switch (coding) {
    case VideoCoding::kAsSource:
      return source.codecpar->codec_id;
    case VideoCoding::kOpaque:
      return AV_CODEC_ID_H264;
    case VideoCoding::kVp9Alpha:
      return AV_CODEC_ID_VP9;
    case VideoCoding::kProResAlpha:
      return AV_CODEC_ID_PRORES;
  }
  return AV_CODEC_ID_NONE;
}

// That of the frames where the encoder takes it, else the one that loses least.
AVPixelFormat pixels_for(const AVCodec& codec, const AVFrame& frame, VideoCoding coding) {
  if (coding == VideoCoding::kOpaque) return AV_PIX_FMT_YUV420P;
  if (coding == VideoCoding::kVp9Alpha) return AV_PIX_FMT_YUVA420P;
  if (coding == VideoCoding::kProResAlpha) return AV_PIX_FMT_YUVA444P10;
  const auto format = static_cast<AVPixelFormat>(frame.format);
  if (codec.pix_fmts == nullptr) return format;
  for (const AVPixelFormat* each = codec.pix_fmts; *each != AV_PIX_FMT_NONE; ++each)
    if (*each == format) return format;
  int loss = 0;
  return avcodec_find_best_pix_fmt_of_list(codec.pix_fmts, format, 0, &loss);
}

bool is_rgb(AVPixelFormat format) {
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  return description != nullptr && (description->flags & AV_PIX_FMT_FLAG_RGB) != 0;
}

void set_picture(AVCodecContext& context, const AVFrame& first, AVPixelFormat pixels, bool needs_even) {
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(pixels);
  const auto edge = [&](int length, int shift) {
    return needs_even && shift > 0 && length > 1 ? length / 2 * 2 : length;
  };
  context.pix_fmt = pixels;
  context.width = edge(first.width, description->log2_chroma_w);
  context.height = edge(first.height, description->log2_chroma_h);
  context.sample_aspect_ratio = first.sample_aspect_ratio;
  context.color_primaries = first.color_primaries;
  context.color_trc = first.color_trc;
  context.colorspace = first.colorspace;
  context.color_range = first.color_range;
  context.chroma_sample_location = first.chroma_location;
  if (!is_rgb(static_cast<AVPixelFormat>(first.format)) || is_rgb(pixels)) return;
  // Pictures that were given: sRGB.
  context.color_primaries = AVCOL_PRI_BT709;
  context.color_trc = AVCOL_TRC_IEC61966_2_1;
  context.colorspace = AVCOL_SPC_BT709;
  context.color_range = AVCOL_RANGE_MPEG;
}

// HDR10's static metadata, which FFmpeg's wrapper of x265 does not hand on. Units of CTA-861.3: 0.00002, 0.0001 cd/m².
std::string hdr10_parameters(const AVFrame& first) {
  std::string text = "log-level=none";
  const auto scaled = [](AVRational value, int unit) { return std::lround(av_q2d(value) * unit); };
  if (const auto* data = av_frame_get_side_data(&first, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA)) {
    const auto& display = *reinterpret_cast<const AVMasteringDisplayMetadata*>(data->data);
    const auto point = [&](const AVRational(&xy)[2]) {
      return fmt::format("({},{})", scaled(xy[0], 50'000), scaled(xy[1], 50'000));
    };
    if (display.has_primaries && display.has_luminance)
      text += fmt::format(":hdr10=1:master-display=G{}B{}R{}WP{}L({},{})", point(display.display_primaries[1]),
                          point(display.display_primaries[2]), point(display.display_primaries[0]),
                          point(display.white_point), scaled(display.max_luminance, 10'000),
                          scaled(display.min_luminance, 10'000));
  }
  if (const auto* data = av_frame_get_side_data(&first, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL)) {
    const auto& light = *reinterpret_cast<const AVContentLightMetadata*>(data->data);
    text += fmt::format(":max-cll={},{}", light.MaxCLL, light.MaxFALL);
  }
  return text;
}

tl::unexpected<Error> no_memory_to_encode() { return fail(ErrorCode::kOutOfMemory, "no memory to encode a video"); }

}  // namespace

void VideoEncoder::FreeScaler::operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
VideoEncoder::VideoEncoder(VideoEncoder&&) noexcept = default;
VideoEncoder::~VideoEncoder() = default;

Result<VideoEncoder> VideoEncoder::open(const AVStream& source, const AVFrame& first, VideoCoding coding, int threads) {
  VideoEncoder encoder;
  const AVCodecID wanted = codec_of(source, coding);
  const EncoderRow* row = encoder_of(wanted);
  if (row == nullptr || avcodec_find_encoder_by_name(row->name) == nullptr) {
    row = encoder_of(AV_CODEC_ID_H264);
    encoder.notes_.push_back(
        fmt::format("the picture is coded in H.264: there is no encoder for {}", avcodec_get_name(wanted)));
  }
  const AVCodec* codec = avcodec_find_encoder_by_name(row->name);
  if (codec == nullptr) return fail(ErrorCode::kUnsupported, fmt::format("this FFmpeg has no {}", row->name));
  encoder.context_.reset(avcodec_alloc_context3(codec));
  encoder.packet_.reset(av_packet_alloc());
  if (!encoder.context_ || !encoder.packet_) return no_memory_to_encode();
  AVCodecContext& context = *encoder.context_;
  const AVPixelFormat pixels = pixels_for(*codec, first, coding);
  if (pixels == AV_PIX_FMT_NONE)
    return fail(ErrorCode::kUnsupported, fmt::format("{} does not take the video's pixels", row->name));
  set_picture(context, first, pixels, row->needs_even);
  if (context.width != first.width || context.height != first.height)
    encoder.notes_.push_back(fmt::format("the picture is {} × {}, not {} × {}: the encoder takes even edges only",
                                         context.width, context.height, first.width, first.height));
  context.time_base = source.time_base;
  context.framerate = source.avg_frame_rate;
  context.thread_count = std::max(threads, 1);
  context.flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
  if (first.interlaced_frame != 0) context.flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
  AVDictionary* options = nullptr;
  for (const EncoderOption& option : row->options)
    if (option.name != nullptr) av_dict_set(&options, option.name, option.value, 0);
  if (coding == VideoCoding::kVp9Alpha) av_dict_set(&options, "auto-alt-ref", "0", 0);  // as it has to be with alpha
  if (row->codec == AV_CODEC_ID_HEVC) av_dict_set(&options, "x265-params", hdr10_parameters(first).c_str(), 0);
  const int opened = avcodec_open2(&context, codec, &options);
  av_dict_free(&options);
  if (opened < 0)
    return fail(ErrorCode::kUnsupported, fmt::format("{} does not encode {} × {} pixels of the kind {}", row->name,
                                                     context.width, context.height, av_get_pix_fmt_name(pixels)));
  return encoder;
}

Result<AVFrame*> VideoEncoder::converted(AVFrame& frame) {
  if (frame.format == context_->pix_fmt) {
    frame.width = context_->width;  // even
    frame.height = context_->height;
    return &frame;
  }
  converted_.reset(av_frame_alloc());
  if (!converted_) return no_memory_to_encode();
  converted_->format = context_->pix_fmt;
  converted_->width = context_->width;
  converted_->height = context_->height;
  if (av_frame_get_buffer(converted_.get(), 0) < 0 || av_frame_copy_props(converted_.get(), &frame) < 0)
    return no_memory_to_encode();
  scaler_.reset(sws_getCachedContext(scaler_.release(), context_->width, context_->height,
                                     static_cast<AVPixelFormat>(frame.format), context_->width, context_->height,
                                     context_->pix_fmt, SWS_BICUBIC | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
  if (!scaler_) return fail(ErrorCode::kUnsupported, "the frames cannot be converted for the encoder");
  const auto full = [](AVColorRange range) { return range == AVCOL_RANGE_JPEG ? 1 : 0; };
  const bool from_rgb = is_rgb(static_cast<AVPixelFormat>(frame.format));
  sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(from_rgb ? SWS_CS_DEFAULT : frame.colorspace),
                           from_rgb ? 1 : full(frame.color_range), sws_getCoefficients(context_->colorspace),
                           full(context_->color_range), 0, 1 << 16, 1 << 16);
  if (sws_scale(scaler_.get(), frame.data, frame.linesize, 0, context_->height, converted_->data,
                converted_->linesize) <= 0)
    return fail(ErrorCode::kUnsupported, "the frames cannot be converted for the encoder");
  return converted_.get();
}

Status VideoEncoder::put(AVFrame& frame, const TakePacket& take) {
  IE_TRY(AVFrame* const ready, converted(frame));
  ready->pict_type = AV_PICTURE_TYPE_NONE;
  ready->key_frame = 0;
  // Some encoders write what the frame says.
  ready->color_primaries = context_->color_primaries;
  ready->color_trc = context_->color_trc;
  ready->colorspace = context_->colorspace;
  ready->color_range = context_->color_range;
  if (const int sent = avcodec_send_frame(context_.get(), ready); sent < 0)
    return sent == AVERROR(ENOMEM) ? no_memory_to_encode()
                                   : fail(ErrorCode::kUnsupported, "the encoder does not take one of the frames");
  return drain(take);
}

Status VideoEncoder::finish(const TakePacket& take) {
  avcodec_send_frame(context_.get(), nullptr);
  return drain(take);
}

Status VideoEncoder::drain(const TakePacket& take) {
  for (;;) {
    const int got = avcodec_receive_packet(context_.get(), packet_.get());
    if (got == AVERROR(EAGAIN) || got == AVERROR_EOF) return {};
    if (got == AVERROR(ENOMEM)) return no_memory_to_encode();
    if (got < 0) return fail(ErrorCode::kUnsupported, "the encoder failed");
    IE_CHECK(take(*packet_));
    av_packet_unref(packet_.get());
  }
}

}  // namespace image_engine::media
