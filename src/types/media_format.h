// What kind of media a file is, told by its first bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

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

// "jpeg", "heif", …
std::string_view format_name(MediaFormat format);
MediaFormat format_from_name(std::string_view name);
MediaKind media_kind(MediaFormat format);
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

}  // namespace image_engine
