// FFmpeg's input from a file in memory, and the streams of it that count.
#pragma once

#include <memory>

#include "media/ffmpeg.h"
#include "media/media.h"

namespace image_engine::media {

// An open container. Only its own bytes are read: the demuxer is the one of the format, never a guessed one (FFmpeg
// also has demuxers that are playlists of other files), and every attempt to open something else fails. Not
// thread-safe.
class Demuxer {
 public:
  // `file` must outlive it. `is_mapped`: it is a mapped file, whose pages are given back to the system behind the place
  // where it is read, so that memory does not grow with the file. Errors: kUnsupported (no such demuxer), kCorrupt,
  // kOutOfMemory.
  static Result<Demuxer> open(MediaFormat format, Bytes file, bool is_mapped = false);
  // The same by the name that FFmpeg has for the demuxer.
  static Result<Demuxer> open(const char* name, Bytes file, bool is_mapped = false);
  Demuxer(Demuxer&&) noexcept;
  Demuxer& operator=(Demuxer&&) = delete;
  ~Demuxer();

  [[nodiscard]] AVFormatContext& input() const { return *input_; }
  // The first stream of this type that is not an attached picture; null if there is none.
  [[nodiscard]] AVStream* stream(AVMediaType type) const;
  // Reads on until codecs and sizes are known, where the header does not state them.
  void read_stream_facts();

 private:
  struct Source;
  Demuxer();

  std::unique_ptr<Source> source_;
  ffmpeg::Io io_;
  ffmpeg::Input input_;  // destroyed first
};

// The display matrix as an EXIF orientation 1…8, turns and mirrors; a turn that is no quarter counts as none.
std::uint32_t orientation_of(const AVStream& stream);

}  // namespace image_engine::media
