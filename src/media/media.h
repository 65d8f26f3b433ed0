// The only parser of outside bytes: metadata, hashes and upright sRGB pixels of any supported picture, metadata of
// videos and sound files. Runs inside image-engine-worker. Functions may be called from any thread after init(); none
// throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "core/result.h"
#include "types/image.h"
#include "types/luma.h"
#include "types/metadata.h"

namespace image_engine::media {

using Bytes = std::span<const std::byte>;

// Initializes the libraries and loads their modules and profiles: everything that needs the file system, before the
// sandbox closes. `threads`: most threads of one decode (libvips' concurrency).
Status init(int threads);

// "libvips" → "8.14.1" and so on, for `doctor`.
std::vector<std::pair<std::string, std::string>> library_versions();

// The format by the whole file: sniff_format(), and detection of TIFF-based raw files.
MediaFormat detect_format(Bytes file);

// Reads headers only. `sidecar` is the bytes of an XMP sidecar, whose fields override the embedded ones; empty for
// none. Broken EXIF inside a valid picture is a warning, not an error. Videos and sound have container metadata.
// Errors: kUnsupported (not media), kCorrupt.
Result<Metadata> read_metadata(Bytes file, Bytes sidecar);

struct ContentHashes {
  Hash128 file;  // of all bytes
  // Of the coded data: JPEG without APPn and COM segments, MP3 and FLAC without tags; other formats all bytes. With the
  // orientation it names the asset (types/asset_name.h).
  Hash128 coded;
};
// `is_mapped`: as of Demuxer::open().
ContentHashes content_hashes(Bytes file, bool is_mapped = false);
// The coded data's hash in catalogues up to format 4: XXH3-128. Only to find a person's labels and ratings of that
// time.
Hash128 former_coded_hash(Bytes file);

// EXIF's number, 1…8, by which a picture is turned upright, as read_metadata() finds it; 1 for all that is no picture
// or has no headers that can be read.
std::uint32_t orientation_of(Bytes file);

struct DecodeOptions {
  // The longer edge of the result is at most this; 0 is full size. Never enlarges.
  std::uint32_t max_edge = 0;
  // A picture with more pixels by its header is refused with kTooLarge before any allocation.
  std::uint64_t max_pixels = 300'000'000;
  // If set, the picture is decoded at full resolution and each row's luma is added to it (as stored: not upright).
  LumaAccumulator* luma = nullptr;
  // EXIF's number by which a picture is turned; 0: orientation_of(file). It may be stated outside the file.
  std::uint32_t orientation = 0;
  // Of a video: the frame that is shown at this presentation time in seconds. Without it a video is kUnsupported.
  std::optional<double> at;
};

struct Decoded {
  Image image;
  std::uint32_t full_width = 0, full_height = 0;  // of the whole picture, upright
  bool partial = false;                           // the file is truncated or damaged: the rest is grey or empty
  bool animated = false;                          // this is the first frame
  std::vector<std::string> warnings;
};

// Upright, converted to sRGB, alpha over white, 8 bits. All formats are resized with
// the same antialiased Lanczos as Pillow's Image.resize(LANCZOS); the shorter edge is rounded to nearest. JPEG is
// decoded at the smallest DCT scale that is at least 3 times the wanted size, 4 times for small pictures. RAW uses the
// camera's preview if it is large enough. Errors: kUnsupported (a video, not media), kCorrupt, kTooLarge.
Result<Decoded> decode(Bytes file, const DecodeOptions& options);

// Scales to a longer edge of at most max_edge with antialiasing; never enlarges. Pillow's Lanczos filter.
Image resize_to_fit(const Image& image, std::uint32_t max_edge);

// JPEG, 4:2:0, quality 1…100.
Result<std::vector<std::byte>> encode_jpeg(const ImageView& image, int quality, bool progressive = false);

enum class Encoding : std::uint8_t { kPng, kJpeg, kWebp };

// 8 bits a sample, rows without padding. One channel: grey; 3: RGB; 4: RGB and alpha that is not premultiplied.
struct RawPicture {
  std::uint32_t width = 0, height = 0, channels = 3;
  Bytes pixels;
};
// A whole picture as a file without metadata; the pixels are sRGB. `quality`: 1…100, of JPEG (4:2:0, above 90 4:4:4)
// and of WebP, whose 100 is lossless. PNG favours time over size. kUnsupported: JPEG with alpha, WebP over 16,383
// pixels a side, a libvips without WebP. kTooLarge, kOutOfMemory.
Result<std::vector<std::byte>> encode_picture(const RawPicture& picture, Encoding encoding, int quality);

// A one-second MP4 of the picture: H.264, 4:2:0, edges cropped to even numbers. kUnsupported if FFmpeg has no encoder.
Result<std::vector<std::byte>> encode_mp4(const ImageView& image);

struct PreviewOptions {
  std::span<const double> times;       // of the frames, seconds of presentation time
  std::uint32_t max_edge = 320;        // pixels
  std::uint32_t frame_duration = 250;  // milliseconds
  std::uint64_t max_pixels = 300'000'000;
};
// The frames of a video that are shown at these times as an animated WebP that repeats for ever. Errors: those of
// decode(); kUnsupported where libvips has no WebP.
Result<std::vector<std::byte>> encode_preview(Bytes video, const PreviewOptions& options);

}  // namespace image_engine::media
