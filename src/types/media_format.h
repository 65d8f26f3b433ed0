// What kind of media a file is, told by its first bytes.
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

// The library that reads a format: both its headers and its pixels, where it has any. src/media has its functions.
enum class Codec : std::uint8_t { kNone, kJpeg, kVips, kBmp, kLibRaw, kFfmpeg };

struct FormatReader {
  Codec codec = Codec::kNone;
  const char* name = "";  // what the library calls the reader, where it has several: "pngload_buffer", "matroska"
};

// All that follows comes from the format's row in media_format.cpp; a value without one has that of kNone.

// "jpeg", "heif", …
std::string_view format_name(MediaFormat format);
MediaFormat format_from_name(std::string_view name);
MediaKind media_kind(MediaFormat format);
bool is_raw(MediaFormat format);       // a camera's sensor data
bool is_lossless(MediaFormat format);  // never compressed with loss, as far as the format tells; false for raw files
FormatReader reader_of(MediaFormat format);
// Whether the value is an enumerator: false for a byte from outside that names no format.
bool is_media_format(MediaFormat format);
// "photo" or "video"; "none" else.
std::string_view kind_name(MediaKind kind);

// How many leading bytes sniff_format wants; fewer are fine for a shorter file.
inline constexpr size_t kSniffBytes = 4096;

// The format by signature, never by name. TIFF-based raw files are told from TIFF by IFD0's Make, DNGVersion and the
// like where they lie within `head`, else reported as kTiff (the worker, which sees the whole file, corrects that).
// Safe on any bytes; no allocation; thread-safe.
MediaFormat sniff_format(std::span<const std::byte> head);

// Whether the file's extension is one of a picture's or a video's: then a file that sniffs as kNone is a failure
// (a broken or mislabelled picture), not a file to skip.
MediaKind kind_by_extension(std::string_view lower_extension);

// What people call formats: a format's name or one of its extensions without the dot ("mov", "mpeg": two formats), or
// "raw" for all cameras' formats. Empty when nothing is called so.
std::vector<MediaFormat> formats_called(std::string_view lower_name);

}  // namespace image_engine
