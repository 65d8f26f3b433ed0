// A container that FFmpeg writes, handed on in parts.
#pragma once

#include <memory>

#include "core/result.h"
#include "media/ffmpeg.h"
#include "media/write_part.h"
#include "types/clip_format.h"

namespace image_engine::media {

// Not thread-safe.
class PartOutput {
 public:
  // Without the program's name, random numbers and the time of writing. `write` must outlive it. kOutOfMemory.
  static Result<PartOutput> open(const ClipFormatRow& row, const WritePart& write);
  PartOutput(PartOutput&&) noexcept;
  ~PartOutput();

  [[nodiscard]] AVFormatContext& context() const { return *context_; }
  // A new stream for the packets of `in`: with its codec, rates, disposition and side data, without its tags.
  // kOutOfMemory.
  Result<AVStream*> add_copy(const AVStream& in);
  // Completes the file. False: the container refused.
  bool finish();

 private:
  struct Writer;
  struct FreeContext {
    void operator()(AVFormatContext* context) const { avformat_free_context(context); }
  };
  PartOutput();

  std::unique_ptr<Writer> writer_;
  ffmpeg::Io io_;
  std::unique_ptr<AVFormatContext, FreeContext> context_;  // destroyed first
};

// The container's tag for the codec: the source's, if it is one of the container's own, else FFmpeg's choice (0).
unsigned codec_tag(const AVFormatContext& output, const AVCodecParameters& source);

}  // namespace image_engine::media
