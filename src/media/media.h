// The one way to outside bytes: metadata, hashes and upright sRGB pixels of any supported picture.
// Runs inside image-engine-worker. Functions may be called from any thread after init(); none throws.
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

// Starts the libraries, loads their modules and profiles: everything that needs the file system happens here, before
// the sandbox closes. `threads` is the number that one decode may use (libvips' concurrency).
Status init(int threads);

// "libvips" → "8.14.1" and so on, for `doctor`.
std::vector<std::pair<std::string, std::string>> library_versions();

// The format with the whole file at hand: sniff_format plus what tells TIFF-based raw files apart.
MediaFormat detect_format(Bytes file);

// Reads headers only. `sidecar` is the bytes of an XMP sidecar, whose fields win over the embedded ones; empty for
// none. Broken EXIF inside a sound picture is a warning, not an error. Videos give container metadata. Errors:
// kUnsupported (not media), kCorrupt.
Result<Metadata> read_metadata(Bytes file, Bytes sidecar);

struct ContentHashes {
  Hash128 file;   // of all bytes
  Hash128 asset;  // of the coded image data: JPEG without APPn and COM segments; other formats all bytes
};
ContentHashes content_hashes(Bytes file);
// The asset's hash as catalogues up to format 4 have it: XXH3-128. Only to find what a person said of a picture then.
Hash128 former_asset_hash(Bytes file);

struct DecodeOptions {
  // The longer edge of the result is at most this; 0 is full size. Never enlarges.
  std::uint32_t max_edge = 0;
  // Refuse a picture of more pixels than this with kTooLarge, by its header, before any allocation.
  std::uint64_t max_pixels = 300'000'000;
  // When given, the picture is decoded at full resolution and each row's luma is told to it (as stored: not upright).
  LumaAccumulator* luma = nullptr;
  // Of a video: the frame that is shown at this presentation time in seconds. Without it a video is kUnsupported.
  std::optional<double> at;
};

struct Decoded {
  Image image;
  std::uint32_t full_width = 0, full_height = 0;  // of the whole picture, upright
  bool partial = false;                           // the file ends early or is damaged: the rest is grey or empty
  bool animated = false;                          // this is the first frame
  std::vector<std::string> warnings;
};

// Upright (EXIF orientation applied), converted by ICC to sRGB, alpha over white, 8 bits.
// All is resized by the same antialiased Lanczos, as Pillow's Image.resize(LANCZOS) does; the
// edge that is not the longer one is rounded to nearest. JPEG decodes at the smallest DCT scale that is at least 3
// times the wanted size, 4 times for small pictures. RAW takes the camera's preview when that is large enough.
// Errors: kUnsupported (a video, not media), kCorrupt, kTooLarge.
Result<Decoded> decode(Bytes file, const DecodeOptions& options);

// Scales to a longer edge of at most max_edge with antialiasing; never enlarges. PIL's Lanczos filter by definition.
Image resize_to_fit(const Image& image, std::uint32_t max_edge);

// JPEG, 4:2:0, quality 1…100.
Result<std::vector<std::byte>> encode_jpeg(const ImageView& image, int quality);

// An MP4 of one second that shows it: H.264, 4:2:0, edges cut to even ones. kUnsupported where FFmpeg has no encoder.
Result<std::vector<std::byte>> encode_mp4(const ImageView& image);

}  // namespace image_engine::media
