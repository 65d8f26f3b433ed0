#include "media/video_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>

namespace image_engine::media {

Result<ffmpeg::CodecContext> open_video_decoder(const AVStream& stream, const VideoDecoderOptions& options) {
  const AVCodecParameters& coded = *stream.codecpar;
  if (coded.width > 0 && coded.height > 0 &&
      static_cast<std::uint64_t>(coded.width) * static_cast<std::uint64_t>(coded.height) > options.max_pixels)
    return fail(ErrorCode::kTooLarge, fmt::format("the video has {} × {} pixels, more than the limit of {}",
                                                  coded.width, coded.height, options.max_pixels));
  const AVCodec* codec = avcodec_find_decoder(coded.codec_id);
  if (codec == nullptr)
    return fail(ErrorCode::kUnsupported,
                fmt::format("this FFmpeg has no decoder for the video's codec ({})", avcodec_get_name(coded.codec_id)));
  ffmpeg::CodecContext decoder(avcodec_alloc_context3(codec));
  if (!decoder || avcodec_parameters_to_context(decoder.get(), &coded) < 0)
    return fail(ErrorCode::kOutOfMemory, "no memory to decode a video");
  decoder->pkt_timebase = stream.time_base;
  decoder->thread_count = std::max(options.threads, 1);
  decoder->max_pixels = static_cast<std::int64_t>(std::min<std::uint64_t>(options.max_pixels, INT_MAX));
  if (options.key_frames_only) decoder->skip_frame = AVDISCARD_NONKEY;
  if (avcodec_open2(decoder.get(), codec, nullptr) < 0)
    return fail(ErrorCode::kCorrupt, "the video's decoder does not accept its header");
  return decoder;
}

}  // namespace image_engine::media
