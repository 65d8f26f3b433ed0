// Encodes the frames of a video that is written anew.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "media/ffmpeg.h"
#include "types/video_edit.h"

struct SwsContext;

namespace image_engine::media {

// Not thread-safe.
class VideoEncoder {
 public:
  using TakePacket = std::function<Status(AVPacket&)>;  // in order of decoding, in ticks of the source's stream

  // An encoder for frames as `first` is, with their colours and rates: that of the source's codec or, where there is
  // none, and with kOpaque, H.264's. Times are ticks of `source`. kUnsupported: no encoder takes such frames;
  // kOutOfMemory.
  static Result<VideoEncoder> open(const AVStream& source, const AVFrame& first, VideoCoding coding, int threads);
  VideoEncoder(VideoEncoder&&) noexcept;
  ~VideoEncoder();

  // Adds a frame of the first one's size, shown at frame.pts, later than the one before. kUnsupported, kOutOfMemory;
  // those of `take`.
  Status put(AVFrame& frame, const TakePacket& take);
  // What is left. Nothing can be added afterwards.
  Status finish(const TakePacket& take);

  [[nodiscard]] const AVCodecContext& context() const { return *context_; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }  // for a person: what was not kept

 private:
  struct FreeScaler {
    void operator()(SwsContext* scaler) const;
  };
  VideoEncoder() = default;
  Result<AVFrame*> converted(AVFrame& frame);
  Status drain(const TakePacket& take);

  ffmpeg::CodecContext context_;
  ffmpeg::Packet packet_;
  ffmpeg::Frame converted_;
  std::unique_ptr<SwsContext, FreeScaler> scaler_;
  std::vector<std::string> notes_;
};

}  // namespace image_engine::media
