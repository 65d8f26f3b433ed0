// A video written anew with changed frames. All else that it shows and says is copied; what it tells of its maker,
// place and time is not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "media/media.h"
#include "media/resize.h"
#include "media/write_part.h"
#include "types/clip_format.h"
#include "types/video_edit.h"

namespace image_engine::media {

struct RewriteOptions {
  ClipFormat format = ClipFormat::kMp4;
  VideoCoding coding = VideoCoding::kAsSource;  // others: every frame is replaced
  bool with_sound = true;                       // and subtitles
  bool is_mapped = false;                       // the bytes are a mapped file's (Demuxer::open())
  int threads = 1;                              // of the decoder and of the encoder
  std::uint64_t max_pixels = 300'000'000;       // a stream with larger frames is refused with kTooLarge
};

// A decoded frame before it is encoded. Valid during the call.
class EditedFrame {
 public:
  virtual ~EditedFrame() = default;
  [[nodiscard]] virtual double seconds() const = 0;  // presentation time, as VideoFrame::seconds
  [[nodiscard]] virtual Size full_size() const = 0;  // upright, pixels square
  // As VideoReader::picture().
  virtual Result<Image> picture(std::uint32_t max_edge) = 0;
  virtual Status hide(std::span<const HiddenArea> areas, HideStyle style, std::uint32_t squares) = 0;
  // Hides where a grey mask is below 128.
  virtual Status hide_outside(const RawPicture& mask, HideStyle style, std::uint32_t squares) = 0;
  // Upright sRGB, RGB or RGBA, of one size in all frames, in place of the frame. Only where the coding is not
  // kAsSource.
  virtual Status replace(const RawPicture& picture) = 0;
};
using EditFrame = std::function<Status(EditedFrame&)>;

struct RewrittenVideo {
  std::uint64_t frames = 0;
  std::string codec;  // of the picture, FFmpeg's name
  std::uint32_t sound_tracks = 0, subtitle_tracks = 0;
  std::vector<std::string> notes;  // for a person: what is not as it was
};

// Decodes each frame of the first video stream, hands it to `edit` and encodes it. Packets of sound and subtitles are
// copied as they are. Presentation times, turns, colours, HDR10's metadata and the aspect of pixels are kept where the
// frames are not replaced. Of tags only languages are; chapters, attached pictures and files, tracks of data and
// positions are left out. Errors: kUnsupported (no video, no decoder, no encoder for its frames, the container cannot
// hold it), kCorrupt (nothing can be decoded), kTooLarge, kOutOfMemory; those of `edit`. After an error what was
// written is no file.
Result<RewrittenVideo> rewrite_video(Bytes file, const RewriteOptions& options, const EditFrame& edit,
                                     const WritePart& write);

}  // namespace image_engine::media
