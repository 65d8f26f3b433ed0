// Detects the media format of a file by its first bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace image_engine {

// Stored by name in the catalogue: append only.
enum class MediaFormat : std::uint8_t {
  kNone,  // neither a picture nor a video
  kJpeg,
  kPng,
  kWebp,
  kGif,
  kTiff,
  kHeif,
  kAvif,
  kJxl,
  kBmp,
  kDng,
  kCr2,
  kNef,
  kArw,
  kOrf,
  kRw2,
  kMp4,       // ISO base media: mp4, mov, m4v, 3gp
  kMatroska,  // mkv, webm
  kAvi,
  kMpegTs,
  kMpegPs,
  kFlv,
  kAsf,
  kOggVideo,
};

enum class MediaKind : std::uint8_t { kNone, kPhoto, kVideo };

// The library that reads a format's headers and pixels. src/media has its functions.
enum class Codec : std::uint8_t { kNone, kJpeg, kVips, kBmp, kLibRaw, kFfmpeg };

struct FormatReader {
  Codec codec = Codec::kNone;
  const char* name = "";  // the library's name of the reader, if it has several: "pngload_buffer", "matroska"
};

// The following functions read the format's row in media_format.cpp; a value without a row gets kNone's.

// "jpeg", "heif", …
std::string_view format_name(MediaFormat format);
MediaFormat format_from_name(std::string_view name);
MediaKind media_kind(MediaFormat format);
bool is_raw(MediaFormat format);       // a camera's sensor data
bool is_lossless(MediaFormat format);  // never lossy, as far as the format determines it; false for raw files
FormatReader reader_of(MediaFormat format);
// Whether the value is an enumerator: false for a byte from outside that names no format.
bool is_media_format(MediaFormat format);
// "photo", "video" or "none".
std::string_view kind_name(MediaKind kind);

// The number of leading bytes for sniff_format(); fewer suffice for a shorter file.
inline constexpr size_t kSniffBytes = 4096;

// The format by signature, never by name. TIFF-based raw files are distinguished from TIFF by IFD0's Make, DNGVersion
// etc. if these are within `head`, else reported as kTiff (the worker, which reads the whole file, corrects that). Safe
// on any bytes; no allocation; thread-safe.
MediaFormat sniff_format(std::span<const std::byte> head);

// The kind that a file extension stands for. A file with such an extension and format kNone is a failure (a broken or
// mislabelled picture), not a file to skip.
MediaKind kind_by_extension(std::string_view lower_extension);

// The formats with this name or with this extension without the dot ("mov", "mpeg": two formats); "raw" stands for all
// camera formats. Empty for an unknown name.
std::vector<MediaFormat> formats_called(std::string_view lower_name);

}  // namespace image_engine
