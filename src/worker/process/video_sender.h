// Sends the frames of one video to the engine, chunk by chunk.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "media/media.h"
#include "media/video_reader.h"
#include "worker/process/arena.h"
#include "worker/process/slots.h"
#include "worker/protocol.h"

namespace image_engine::worker {

class VideoSender {
 public:
  // `memory` is all of the shared memory; it and `file` must outlive the object.
  VideoSender(std::span<std::byte> memory, media::Bytes file, const Request& request)
      : memory_(memory), file_(file), request_(request), slots_(memory, request.number) {}

  // Decodes as the request says and sends chunks, waiting where the engine has released none of the slots. Ends the
  // program when the engine has closed the socket. Errors: those of media::VideoReader; what was sent before one
  // counts.
  Result<VideoSummary> send_all();

 private:
  Status add(media::VideoReader& reader, const media::VideoFrame& frame);
  Status add_chosen(media::VideoReader& reader, double seconds);
  Status add_between(media::VideoReader& reader, double seconds);
  Status add_step(media::VideoReader& reader, double seconds);
  Result<ChosenFrame> placed(const media::VideoReader& reader, double seconds, const Image& image);
  [[nodiscard]] bool is_between(double seconds, std::span<const std::uint8_t> small);
  // Whether this is the first frame at or after a multiple of 1 / fps after the anchor; never with an fps of 0. `next`:
  // the least multiple left.
  [[nodiscard]] bool is_due(double seconds, double fps, std::int64_t& next) const;
  [[nodiscard]] bool is_full() const;
  void begin_chunk();
  void send_chunk();

  std::span<std::byte> memory_;
  media::Bytes file_;
  const Request& request_;
  Slots slots_;
  VideoSummary summary_;
  VideoChunk chunk_;
  std::optional<Arena> arena_;  // of the chunk that is being filled
  std::uint32_t slot_ = 0;
  std::chrono::steady_clock::time_point begun_;
  double anchor_ = 0;
  double step_rate_ = 0;                  // steps a second
  std::int64_t next_choice_ = 0;          // in frames of the wanted rate after the anchor
  std::int64_t next_between_ = 0;         // in frames of `track_fps`
  std::int64_t next_step_ = 0;            // in steps
  std::vector<std::uint8_t> sent_small_;  // of the frame whose pixels were sent last
};

}  // namespace image_engine::worker
