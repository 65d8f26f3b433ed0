// Detects the media format of a file by its first bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace image_engine {

// Stored by name in the catalogue: append only.
enum class MediaFormat : std::uint8_t {
  kNone,  // no media
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
  kMp3,  // MPEG audio of all layers
  kM4a,  // ISO base media with sound only: m4a, m4b
  kWav,
  kFlac,
  kOggAudio,  // Vorbis, Opus, FLAC, Speex
  kAiff,
  kWma,  // ASF with sound only
  kAmr,
  kAac,  // ADTS
  kMka,  // Matroska or WebM with sound only
  kCr3,
  kRaf,
  kPef,
  kSrw,
  kIiq,
  k3fr,
  kMrw,
  kErf,
  kMef,
  kMos,
  kKdc,
  kOtherRaw,  // a TIFF of sensor data by another maker
};

enum class MediaKind : std::uint8_t { kNone, kPhoto, kVideo, kAudio };
inline constexpr std::array kMediaKinds = {MediaKind::kPhoto, MediaKind::kVideo, MediaKind::kAudio};  // all but kNone

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
bool is_lossless(MediaFormat format);  // of pictures: never lossy, as far as the format determines; false for raw files
FormatReader reader_of(MediaFormat format);
// Containers of videos that may hold sound alone have a second format for that: kMp4 and kM4a, kMatroska and kMka, kAsf
// and kWma, kOggVideo and kOggAudio. Signatures do not always tell which it is: the worker, which knows the streams,
// corrects that. These give the format of the same container for the kind; kNone if there is none.
MediaFormat as_video(MediaFormat format);
MediaFormat as_audio(MediaFormat format);
// Whether the value is an enumerator: false for a byte from outside that names no format.
bool is_media_format(MediaFormat format);
// "photo", "video", "audio" or "none".
std::string_view kind_name(MediaKind kind);

// The number of leading bytes for sniff_format(); fewer suffice for a shorter file.
inline constexpr size_t kSniffBytes = 4096;

// The format by signature, never by name. TIFF-based raw files are distinguished from TIFF by IFD0's Make, DNGVersion
// etc., and by sensor data in a directory, if these are within `head`, else reported as kTiff (the worker, which reads
// the whole file, corrects that). MPEG audio and ADTS need two frames that follow each other. Safe on any bytes; no
// allocation; thread-safe.
MediaFormat sniff_format(std::span<const std::byte> head);

// The kind that a file extension stands for. A file with such an extension and format kNone is a failure (a broken or
// mislabelled file), not a file to skip.
MediaKind kind_by_extension(std::string_view lower_extension);

// The formats with this name or with this extension without the dot ("mov", "mpeg": two formats); "raw" stands for all
// camera formats. Empty for an unknown name.
std::vector<MediaFormat> formats_called(std::string_view lower_name);

}  // namespace image_engine
