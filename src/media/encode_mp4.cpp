// A video clip of one picture, for servers that accept only video.
extern "C" {
#include <libavutil/opt.h>
}

#include <algorithm>
#include <array>

#include "media/ffmpeg.h"
#include "media/media.h"

namespace image_engine::media {
namespace {

// Rec. ITU-R BT.601, 8 bits, luma 16…235, chroma 16…240, in 65536ths.
constexpr std::array<int, 3> kLuma{16829, 33039, 6416}, kBlue{-9714, -19070, 28784}, kRed{28784, -24103, -4681};
constexpr int kLumaOffset = 16, kChromaOffset = 128, kOne = 1 << 16;

constexpr int kQuality = 18;  // x264's constant rate factor: nearly indistinguishable from the picture

// Takes the bytes written to an output's memory.
std::vector<std::byte> take_written(AVFormatContext& output) {
  std::uint8_t* data = nullptr;
  const int size = avio_close_dyn_buf(output.pb, &data);
  output.pb = nullptr;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> all(bytes, bytes + std::max(size, 0));
  av_free(data);
  return all;
}

tl::unexpected<Error> cannot(const char* what) {
  return fail(ErrorCode::kInternal, std::string("cannot write a video clip of the picture: ") + what);
}

std::uint8_t weighed(const std::array<int, 3>& weights, const std::array<int, 3>& rgb, int pixels, int offset) {
  const int sum = weights[0] * rgb[0] + weights[1] * rgb[1] + weights[2] * rgb[2];
  return static_cast<std::uint8_t>(std::clamp((sum / pixels + kOne / 2) / kOne + offset, 0, 255));
}

// RGB to Y'CbCr with one chroma sample per 2 × 2 pixels.
void fill(AVFrame& frame, const ImageView& image) {
  const auto pixel = [&](int x, int y) {
    const std::uint8_t* at =
        &image.pixels[(static_cast<std::size_t>(y) * image.width + static_cast<std::size_t>(x)) * 3];
    return std::array<int, 3>{at[0], at[1], at[2]};
  };
  for (int y = 0; y < frame.height; y += 2)
    for (int x = 0; x < frame.width; x += 2) {
      std::array<int, 3> sum{};
      for (const auto& [dx, dy] : {std::pair(0, 0), {1, 0}, {0, 1}, {1, 1}}) {
        const auto rgb = pixel(x + dx, y + dy);
        frame.data[0][(y + dy) * frame.linesize[0] + x + dx] = weighed(kLuma, rgb, 1, kLumaOffset);
        for (std::size_t c = 0; c < 3; ++c) sum[c] += rgb[c];
      }
      frame.data[1][y / 2 * frame.linesize[1] + x / 2] = weighed(kBlue, sum, 4, kChromaOffset);
      frame.data[2][y / 2 * frame.linesize[2] + x / 2] = weighed(kRed, sum, 4, kChromaOffset);
    }
}

Result<ffmpeg::CodecContext> open_encoder(int width, int height) {
  const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
  if (codec == nullptr) return fail(ErrorCode::kUnsupported, "this FFmpeg has no libx264");
  ffmpeg::CodecContext encoder(avcodec_alloc_context3(codec));
  if (!encoder) return fail(ErrorCode::kOutOfMemory, "no memory to encode a video clip");
  encoder->width = width;
  encoder->height = height;
  encoder->time_base = {1, 1};
  encoder->pix_fmt = AV_PIX_FMT_YUV420P;
  encoder->color_range = AVCOL_RANGE_MPEG;
  encoder->colorspace = AVCOL_SPC_SMPTE170M;
  encoder->thread_count = 1;
  encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  av_opt_set_int(encoder->priv_data, "crf", kQuality, 0);
  if (avcodec_open2(encoder.get(), codec, nullptr) < 0) return cannot("x264 does not start");
  return encoder;
}

Result<ffmpeg::Packet> encoded(AVCodecContext& encoder, const ImageView& image) {
  const ffmpeg::Frame frame(av_frame_alloc());
  ffmpeg::Packet packet(av_packet_alloc());
  if (!frame || !packet) return fail(ErrorCode::kOutOfMemory, "no memory to encode a video clip");
  frame->format = encoder.pix_fmt;
  frame->width = encoder.width;
  frame->height = encoder.height;
  if (av_frame_get_buffer(frame.get(), 0) < 0) return fail(ErrorCode::kOutOfMemory, "no memory to encode a video clip");
  fill(*frame, image);
  const bool done = avcodec_send_frame(&encoder, frame.get()) >= 0 && avcodec_send_frame(&encoder, nullptr) >= 0 &&
                    avcodec_receive_packet(&encoder, packet.get()) >= 0;
  if (!done) return cannot("x264 returned nothing");
  packet->duration = 1;
  return packet;
}

}  // namespace

Result<std::vector<std::byte>> encode_mp4(const ImageView& image) {
  constexpr std::uint32_t kMostEdge = 4096;  // H.264's levels up to 5.2
  const int width = static_cast<int>(image.width / 2 * 2), height = static_cast<int>(image.height / 2 * 2);
  if (width == 0 || height == 0 || image.width > kMostEdge || image.height > kMostEdge ||
      image.pixels.size() < std::size_t{image.width} * image.height * 3)
    return fail(ErrorCode::kInvalidArgument, "a video clip's edges are between 2 and 4,096 pixels");
  IE_TRY(const ffmpeg::CodecContext encoder, open_encoder(width, height));
  IE_TRY(const ffmpeg::Packet packet, encoded(*encoder, image));
  AVFormatContext* mp4 = nullptr;
  if (avformat_alloc_output_context2(&mp4, nullptr, "mp4", nullptr) < 0) return cannot("no MP4");
  const ffmpeg::MemoryOutput output(mp4);
  if (avio_open_dyn_buf(&output->pb) < 0) return fail(ErrorCode::kOutOfMemory, "no memory to write a video clip");
  AVStream* stream = avformat_new_stream(output.get(), nullptr);
  if (stream == nullptr || avcodec_parameters_from_context(stream->codecpar, encoder.get()) < 0)
    return cannot("no stream");
  stream->time_base = encoder->time_base;
  stream->avg_frame_rate = {1, 1};
  output->flags |= AVFMT_FLAG_BITEXACT;  // omits the program's name
  if (avformat_write_header(output.get(), nullptr) < 0) return cannot("its header");
  av_packet_rescale_ts(packet.get(), encoder->time_base, stream->time_base);
  packet->stream_index = stream->index;
  if (av_write_frame(output.get(), packet.get()) < 0 || av_write_trailer(output.get()) < 0) return cannot("its frame");
  return take_written(*output);
}

}  // namespace image_engine::media
