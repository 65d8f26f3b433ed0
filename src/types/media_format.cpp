#include "types/media_format.h"

#include <array>
#include <string_view>

#include "types/byte_view.h"

namespace image_engine {
namespace {

using namespace std::string_view_literals;

struct FormatRow {
  MediaFormat format;
  std::string_view name;
  MediaKind kind;
};

constexpr std::array kFormats{
    FormatRow{MediaFormat::kNone, "none", MediaKind::kNone},
    FormatRow{MediaFormat::kJpeg, "jpeg", MediaKind::kPhoto},
    FormatRow{MediaFormat::kPng, "png", MediaKind::kPhoto},
    FormatRow{MediaFormat::kWebp, "webp", MediaKind::kPhoto},
    FormatRow{MediaFormat::kGif, "gif", MediaKind::kPhoto},
    FormatRow{MediaFormat::kTiff, "tiff", MediaKind::kPhoto},
    FormatRow{MediaFormat::kHeif, "heif", MediaKind::kPhoto},
    FormatRow{MediaFormat::kAvif, "avif", MediaKind::kPhoto},
    FormatRow{MediaFormat::kJxl, "jxl", MediaKind::kPhoto},
    FormatRow{MediaFormat::kBmp, "bmp", MediaKind::kPhoto},
    FormatRow{MediaFormat::kDng, "dng", MediaKind::kPhoto},
    FormatRow{MediaFormat::kCr2, "cr2", MediaKind::kPhoto},
    FormatRow{MediaFormat::kNef, "nef", MediaKind::kPhoto},
    FormatRow{MediaFormat::kArw, "arw", MediaKind::kPhoto},
    FormatRow{MediaFormat::kOrf, "orf", MediaKind::kPhoto},
    FormatRow{MediaFormat::kRw2, "rw2", MediaKind::kPhoto},
    FormatRow{MediaFormat::kMp4, "mp4", MediaKind::kVideo},
    FormatRow{MediaFormat::kMatroska, "matroska", MediaKind::kVideo},
    FormatRow{MediaFormat::kAvi, "avi", MediaKind::kVideo},
    FormatRow{MediaFormat::kMpegTs, "mpegts", MediaKind::kVideo},
    FormatRow{MediaFormat::kMpegPs, "mpegps", MediaKind::kVideo},
    FormatRow{MediaFormat::kFlv, "flv", MediaKind::kVideo},
    FormatRow{MediaFormat::kAsf, "asf", MediaKind::kVideo},
    FormatRow{MediaFormat::kOggVideo, "ogv", MediaKind::kVideo},
};

// The value of an enumerator is its row.
const FormatRow& row_of(MediaFormat format) {
  const auto index = static_cast<size_t>(format);
  return kFormats[index < kFormats.size() ? index : 0];
}

constexpr std::string_view kPhotoExtensions[] = {
    ".jpg",  ".jpeg", ".jpe",  ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".heic",
    ".heif", ".hif",  ".avif", ".jxl",  ".bmp", ".dib",  ".dng", ".cr2", ".cr3",  ".nef",
    ".nrw",  ".arw",  ".orf",  ".rw2",  ".raf", ".pef",  ".srw", ".sr2",
};
constexpr std::string_view kVideoExtensions[] = {
    ".mp4", ".m4v",  ".mov", ".qt",   ".3gp", ".3g2", ".mkv", ".webm", ".avi",
    ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".flv", ".wmv", ".asf",  ".ogv",
};

using Confirm = MediaFormat (*)(ByteView);

// ISO/IEC 14496-12, 4.3: what the brands of an ftyp box promise.
MediaFormat by_brands(ByteView head) {
  struct Brand {
    std::string_view name;
    MediaFormat format;
  };
  // In order of precedence: an AVIF file lists mif1 too.
  static constexpr Brand kBrands[] = {
      {"avif", MediaFormat::kAvif}, {"avis", MediaFormat::kAvif}, {"heic", MediaFormat::kHeif},
      {"heix", MediaFormat::kHeif}, {"heim", MediaFormat::kHeif}, {"heis", MediaFormat::kHeif},
      {"hevc", MediaFormat::kHeif}, {"hevx", MediaFormat::kHeif}, {"mif1", MediaFormat::kHeif},
      {"msf1", MediaFormat::kHeif},
  };
  // Sound, Canon's CR3, JPEG 2000: nothing that is read here.
  static constexpr std::string_view kOther[] = {"M4A ", "M4B ", "M4P ", "F4A ", "F4B ", "crx ", "jp2 ", "jpx ", "jxl "};
  const auto major = head.text(8, 4);
  for (const auto other : kOther)
    if (major == other) return MediaFormat::kNone;
  const std::uint64_t end = std::min<std::uint64_t>({head.u32(0), head.size(), kSniffBytes});
  for (const auto& brand : kBrands) {
    if (major == brand.name) return brand.format;
    for (std::uint64_t at = 16; at + 4 <= end; at += 4)
      if (head.starts_with(brand.name, at)) return brand.format;
  }
  return MediaFormat::kMp4;
}

// QuickTime before ftyp was invented: a first box of one of these names, with a size that a box can have.
MediaFormat old_quicktime(ByteView head) {
  const auto size = head.u32(0);
  return size == 1 || size >= 8 ? MediaFormat::kMp4 : MediaFormat::kNone;
}

// TIFF and the raw formats built on it. Tags: Make 271, NewSubfileType 254, SubIFDs 330, DNGVersion 50706 (DNG 1.4),
// DNGPrivateData 50740, which Sony uses outside DNG.
MediaFormat tiff_or_raw(ByteView head) {
  if (head.starts_with("CR\x02"sv, 8)) return MediaFormat::kCr2;
  const TiffDirectory directory(head.sub(0));
  if (directory.find(50706)) return MediaFormat::kDng;
  const auto make = directory.ascii(271);
  const bool thumbnail_first = directory.find(330) && directory.number(254) == 1;
  if (make.starts_with("NIKON") && thumbnail_first) return MediaFormat::kNef;
  if (make.starts_with("SONY") && (thumbnail_first || directory.find(50740))) return MediaFormat::kArw;
  return MediaFormat::kTiff;
}

MediaFormat windows_bitmap(ByteView head) {
  const auto header = head.with_order(ByteOrder::kLittle).u32(14);
  for (const std::uint32_t known : {12, 16, 40, 52, 56, 64, 108, 124})
    if (header == known) return MediaFormat::kBmp;
  return MediaFormat::kNone;
}

// A bare JPEG XL codestream has a signature of two bytes only (ISO/IEC 18181-1, annex C): text must not match it.
MediaFormat jxl_codestream(ByteView head) {
  for (std::uint64_t at = 2; at < std::min<std::uint64_t>(head.size(), 64); ++at)
    if (head.u8(at) < 0x09) return MediaFormat::kJxl;
  return head.size() > 2 && head.size() <= 16 ? MediaFormat::kJxl : MediaFormat::kNone;
}

MediaFormat matroska(ByteView head) {
  const auto text = head.text(0, 64);
  return text.find("matroska") != text.npos || text.find("webm") != text.npos ? MediaFormat::kMatroska
                                                                              : MediaFormat::kNone;
}

// Sound alone has the same container: the GUIDs of the stream types tell (ASF specification, 3.3 and 10.4).
MediaFormat asf(ByteView head) {
  const auto text = head.text(0, kSniffBytes);
  const bool sound = text.find("\x40\x9e\x69\xf8\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b"sv) != text.npos;
  const bool video = text.find("\xc0\xef\x19\xbc\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b"sv) != text.npos;
  return sound && !video ? MediaFormat::kNone : MediaFormat::kAsf;
}

MediaFormat ogg(ByteView head) {
  const auto text = head.text(0, kSniffBytes);
  for (const auto codec : {"\x80theora"sv, "\x01video\0\0\0"sv, "BBCD\0"sv})
    if (text.find(codec) != text.npos) return MediaFormat::kOggVideo;
  return MediaFormat::kNone;
}

// The pack header's marker bits of MPEG-1 (0010) or MPEG-2 (01).
MediaFormat mpeg_ps(ByteView head) {
  const auto marker = head.u8(4);
  return marker >> 4 == 2 || marker >> 6 == 1 ? MediaFormat::kMpegPs : MediaFormat::kNone;
}

// A transport packet's header (ISO/IEC 13818-1, 2.4.3.2): the sync byte, and control fields without reserved values.
bool is_ts_packet(ByteView head, std::uint64_t at) {
  const auto control = head.u8(at + 3);
  return head.u8(at) == 0x47 && control >> 6 != 1 && (control >> 4 & 3) != 0;
}

// Packets of 188 bytes, or 192 with a time stamp before each (m2ts).
bool has_ts_packets(ByteView head) {
  constexpr std::uint64_t kPackets = 5;
  for (const auto& [start, step] : {std::pair<std::uint64_t, std::uint64_t>{0, 188}, {4, 192}}) {
    std::uint64_t found = 0;
    while (found < kPackets && is_ts_packet(head, start + found * step)) ++found;
    if (found == kPackets) return true;
  }
  return false;
}

struct Signature {
  std::uint64_t offset;
  std::string_view bytes;
  MediaFormat format;         // what it is when there is nothing to confirm
  Confirm confirm = nullptr;  // decides by more of the head
};

// clang-format off
constexpr Signature kSignatures[] = {
    {0, "\xff\xd8\xff"sv, MediaFormat::kJpeg},
    {0, "\x89PNG\r\n\x1a\n"sv, MediaFormat::kPng},
    {8, "WEBP"sv, MediaFormat::kWebp, [](ByteView head) { return head.starts_with("RIFF") ? MediaFormat::kWebp : MediaFormat::kNone; }},
    {8, "AVI "sv, MediaFormat::kAvi, [](ByteView head) { return head.starts_with("RIFF") ? MediaFormat::kAvi : MediaFormat::kNone; }},
    {0, "GIF87a"sv, MediaFormat::kGif},
    {0, "GIF89a"sv, MediaFormat::kGif},
    {0, "II*\0"sv, MediaFormat::kTiff, tiff_or_raw},
    {0, "MM\0*"sv, MediaFormat::kTiff, tiff_or_raw},
    {0, "II+\0"sv, MediaFormat::kTiff},
    {0, "MM\0+"sv, MediaFormat::kTiff},
    {0, "IIRO"sv, MediaFormat::kOrf},
    {0, "IIRS"sv, MediaFormat::kOrf},
    {0, "MMOR"sv, MediaFormat::kOrf},
    {0, "IIU\0"sv, MediaFormat::kRw2},
    {0, "\0\0\0\x0cJXL \r\n\x87\n"sv, MediaFormat::kJxl},
    {0, "\xff\x0a"sv, MediaFormat::kJxl, jxl_codestream},
    {0, "BM"sv, MediaFormat::kBmp, windows_bitmap},
    {4, "ftyp"sv, MediaFormat::kMp4, by_brands},
    {4, "moov"sv, MediaFormat::kMp4, old_quicktime},
    {4, "mdat"sv, MediaFormat::kMp4, old_quicktime},
    {4, "wide"sv, MediaFormat::kMp4, old_quicktime},
    {0, "\x1a\x45\xdf\xa3"sv, MediaFormat::kMatroska, matroska},
    {0, "FLV\x01"sv, MediaFormat::kFlv},
    {0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"sv, MediaFormat::kAsf, asf},
    {0, "OggS"sv, MediaFormat::kOggVideo, ogg},
    {0, "\0\0\x01\xba"sv, MediaFormat::kMpegPs, mpeg_ps},
};
// clang-format on

}  // namespace

std::string_view format_name(MediaFormat format) { return row_of(format).name; }

MediaFormat format_from_name(std::string_view name) {
  for (const auto& row : kFormats)
    if (row.name == name) return row.format;
  return MediaFormat::kNone;
}

MediaKind media_kind(MediaFormat format) { return row_of(format).kind; }

std::string_view kind_name(MediaKind kind) {
  return kind == MediaKind::kPhoto ? "photo" : kind == MediaKind::kVideo ? "video" : "none";
}

MediaFormat sniff_format(std::span<const std::byte> bytes) {
  const ByteView head(bytes);
  for (const auto& signature : kSignatures) {
    if (!head.starts_with(signature.bytes, signature.offset)) continue;
    const auto format = signature.confirm ? signature.confirm(head) : signature.format;
    if (format != MediaFormat::kNone) return format;
  }
  return has_ts_packets(head) ? MediaFormat::kMpegTs : MediaFormat::kNone;
}

MediaKind kind_by_extension(std::string_view lower_extension) {
  for (const auto extension : kPhotoExtensions)
    if (extension == lower_extension) return MediaKind::kPhoto;
  for (const auto extension : kVideoExtensions)
    if (extension == lower_extension) return MediaKind::kVideo;
  return MediaKind::kNone;
}

}  // namespace image_engine
