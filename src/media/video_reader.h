// Frames of a video in order of presentation, upright and sRGB.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "media/media.h"
#include "media/resize.h"
#include "types/image.h"

namespace image_engine::media {

struct VideoReaderOptions {
  bool key_frames_only = false;
  bool is_mapped = false;                  // the bytes are a mapped file's (Demuxer::open())
  int threads = 1;                         // of the decoder
  std::uint64_t max_pixels = 300'000'000;  // a stream with larger frames is refused with kTooLarge
};

enum class StreamKind : std::uint8_t { kAudio, kSubtitles };

struct VideoFrame {
  double seconds = 0;  // presentation time as the container has it: what ffprobe prints as pts_time
  bool is_key = false;
};

// Not thread-safe. Decodes the first video stream that is not an attached picture.
class VideoReader {
 public:
  // `file` must outlive it. Errors: kUnsupported (no video, no decoder), kCorrupt, kTooLarge, kOutOfMemory.
  static Result<VideoReader> open(Bytes file, const VideoReaderOptions& options);
  VideoReader(VideoReader&&) noexcept;
  ~VideoReader();

  // The next frame; none at the end. Times rise: a frame without a time, or with one that goes back, gets the one
  // before plus a frame's duration. Packets that cannot be decoded are left out and counted.
  Result<std::optional<VideoFrame>> next();
  // next() gives the frame that is shown at `seconds`: the last one that begins by then, or half a millisecond later,
  // else the first of all.
  Status seek(double seconds);

  // Of the frame that next() gave last: converted by its own matrix and range (unknown: BT.601 limited, as FFmpeg has
  // it), HDR tone-mapped, one field of interlaced ones, pixels made square, upright, the longer edge at most `max_edge`
  // (0: full size). `luma`, where given, is begun and receives the rows of the full-size frame as stored. Errors:
  // kUnsupported.
  Result<Image> picture(std::uint32_t max_edge, LumaAccumulator* luma = nullptr);
  // The same, by area averages without regard to fields: a third of the time, and good enough for a detector.
  Result<Image> rough_picture(std::uint32_t max_edge);
  // The same frame stretched to size.width × size.height RGB by area averages of some of its rows; neither turned nor
  // tone-mapped. Cheap: meant for every frame.
  Status reduce(Size size, std::span<std::uint8_t> rgb);

  [[nodiscard]] Size full_size() const;                        // of the frame at hand, upright, pixels square
  [[nodiscard]] double duration() const;                       // seconds that the container states; 0: unknown
  [[nodiscard]] double frame_rate() const;                     // frames a second that the container states; 0: unknown
  [[nodiscard]] std::uint32_t streams(StreamKind kind) const;  // of the container
  [[nodiscard]] bool is_hdr() const;                           // PQ or HLG, as far as is known by now
  // Whether the container ended by an error, or lacks bytes that it declares: it is damaged, or ends early.
  [[nodiscard]] bool is_cut_off() const;
  // For a person: what was wrong so far but survived.
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  struct State;
  explicit VideoReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::media
