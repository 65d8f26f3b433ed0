// Owning pointers for FFmpeg's objects.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswresample/swresample.h>
}

#include <cstdint>
#include <memory>

namespace image_engine::media::ffmpeg {

struct Free {
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(SwrContext* resampler) const { swr_free(&resampler); }
  // For avio_alloc_context(), with its buffer.
  void operator()(AVIOContext* io) const {
    av_freep(&io->buffer);
    avio_context_free(&io);
  }
};
struct CloseInput {
  void operator()(AVFormatContext* input) const { avformat_close_input(&input); }
};
// With the memory of avio_open_dyn_buf(), if open.
struct FreeOutput {
  void operator()(AVFormatContext* output) const {
    std::uint8_t* rest = nullptr;
    if (output->pb != nullptr && avio_close_dyn_buf(output->pb, &rest) >= 0) av_free(rest);
    avformat_free_context(output);
  }
};

using CodecContext = std::unique_ptr<AVCodecContext, Free>;
using Frame = std::unique_ptr<AVFrame, Free>;
using Resampler = std::unique_ptr<SwrContext, Free>;
using Packet = std::unique_ptr<AVPacket, Free>;
using Io = std::unique_ptr<AVIOContext, Free>;
using Input = std::unique_ptr<AVFormatContext, CloseInput>;
using MemoryOutput = std::unique_ptr<AVFormatContext, FreeOutput>;

}  // namespace image_engine::media::ffmpeg
