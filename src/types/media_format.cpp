#include "types/media_format.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "types/byte_view.h"
#include "types/id3.h"

namespace image_engine {
namespace {

using namespace std::string_view_literals;

MediaFormat webp(ByteView head) { return head.starts_with("RIFF") ? MediaFormat::kWebp : MediaFormat::kNone; }
MediaFormat wav(ByteView head) {
  const auto chunk = head.text(0, 4);
  return chunk == "RIFF" || chunk == "RF64" || chunk == "BW64" ? MediaFormat::kWav : MediaFormat::kNone;
}
MediaFormat aiff(ByteView head) {
  const auto type = head.text(8, 4);
  return type == "AIFF" || type == "AIFC" ? MediaFormat::kAiff : MediaFormat::kNone;
}
MediaFormat avi(ByteView head) { return head.starts_with("RIFF") ? MediaFormat::kAvi : MediaFormat::kNone; }

// ISO/IEC 14496-12, 4.3: formats by the brands of an ftyp box.
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
  static constexpr std::string_view kSound[] = {"M4A ", "M4B ", "M4P ", "F4A ", "F4B "};
  // JPEG 2000: not supported.
  static constexpr std::string_view kOther[] = {"jp2 ", "jpx ", "jxl "};
  const auto major = head.text(8, 4);
  if (major == "crx ") return MediaFormat::kCr3;
  for (const auto sound : kSound)
    if (major == sound) return MediaFormat::kM4a;
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

// QuickTime files older than ftyp: the first box has one of these names and a valid size.
MediaFormat old_quicktime(ByteView head) {
  const auto size = head.u32(0);
  return size == 1 || size >= 8 ? MediaFormat::kMp4 : MediaFormat::kNone;
}

// Cameras' makers whose raw files are TIFFs.
struct RawMaker {
  std::string_view make;  // the beginning of IFD0's Make
  MediaFormat format;
};
constexpr RawMaker kRawMakers[] = {
    {"NIKON", MediaFormat::kNef},      {"SONY", MediaFormat::kArw},    {"PENTAX", MediaFormat::kPef},
    {"Asahi", MediaFormat::kPef},      {"RICOH", MediaFormat::kPef},   {"SAMSUNG", MediaFormat::kSrw},
    {"Hasselblad", MediaFormat::k3fr}, {"Imacon", MediaFormat::k3fr},  {"Phase One", MediaFormat::kIiq},
    {"Leaf", MediaFormat::kMos},       {"Mamiya", MediaFormat::kMef},  {"SEIKO EPSON", MediaFormat::kErf},
    {"Kodak", MediaFormat::kKdc},      {"EASTMAN", MediaFormat::kKdc},
};

// Whether a directory holds a sensor's values: PhotometricInterpretation 262 is CFA or linear raw (DNG 1.4).
bool is_sensor_data(const TiffDirectory& directory) {
  const auto photometric = directory.number(262);
  return photometric == 32803 || photometric == 34892;
}

// TIFF and the raw formats built on it. Tags: Make 271, NewSubfileType 254, SubIFDs 330, DNGVersion 50706 (DNG 1.4),
// DNGPrivateData 50740, which Sony uses outside DNG. Phase One has a mark behind TIFF's header.
MediaFormat tiff_or_raw(ByteView head) {
  constexpr std::uint32_t kMostParts = 8;
  if (head.starts_with("CR\x02"sv, 8)) return MediaFormat::kCr2;
  const TiffDirectory directory(head.sub(0));
  if (directory.find(50706)) return MediaFormat::kDng;
  const auto make = directory.ascii(271);
  const auto* maker = std::ranges::find_if(kRawMakers, [&](const RawMaker& one) { return make.starts_with(one.make); });
  const bool is_known = maker != std::end(kRawMakers);
  bool is_sensor = is_sensor_data(directory);
  for (std::uint32_t i = 0; i < kMostParts && !is_sensor; ++i)
    if (const auto part = directory.long_at(330, i)) is_sensor = is_sensor_data(TiffDirectory(head.sub(0), part));
  const bool thumbnail_first = directory.find(330) && directory.number(254) == 1;
  const bool is_sony = is_known && maker->format == MediaFormat::kArw && directory.find(50740);
  if (head.starts_with("IIII", 8) || head.starts_with("MMMM", 8)) return MediaFormat::kIiq;
  if (is_known && (is_sensor || thumbnail_first || is_sony)) return maker->format;
  return is_sensor ? MediaFormat::kOtherRaw : MediaFormat::kTiff;
}

MediaFormat windows_bitmap(ByteView head) {
  const auto header = head.with_order(ByteOrder::kLittle).u32(14);
  for (const std::uint32_t known : {12, 16, 40, 52, 56, 64, 108, 124})
    if (header == known) return MediaFormat::kBmp;
  return MediaFormat::kNone;
}

// A bare JPEG XL codestream has a signature of only two bytes (ISO/IEC 18181-1, annex C): text must not match it.
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

// Files of sound use the same container: the stream types' GUIDs decide (ASF specification, 3.3 and 10.4).
MediaFormat asf(ByteView head) {
  const auto text = head.text(0, kSniffBytes);
  const bool sound = text.find("\x40\x9e\x69\xf8\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b"sv) != text.npos;
  const bool video = text.find("\xc0\xef\x19\xbc\x4d\x5b\xcf\x11\xa8\xfd\x00\x80\x5f\x5c\x44\x2b"sv) != text.npos;
  return sound && !video ? MediaFormat::kWma : MediaFormat::kAsf;
}

// By the first packets of the streams, which come before all others (RFC 3533, 4).
MediaFormat ogg(ByteView head) {
  const auto text = head.text(0, kSniffBytes);
  for (const auto codec : {"\x80theora"sv, "\x01video\0\0\0"sv, "BBCD\0"sv, "OVP80"sv})
    if (text.find(codec) != text.npos) return MediaFormat::kOggVideo;
  for (const auto codec : {"\x01vorbis"sv, "OpusHead"sv,
                           "\x7f"
                           "FLAC"sv,
                           "Speex   "sv})
    if (text.find(codec) != text.npos) return MediaFormat::kOggAudio;
  return MediaFormat::kNone;
}

// The length of the frame of MPEG audio whose header this is (ISO/IEC 11172-3, 2.4.2.3; 13818-3), 0 for no header.
std::uint64_t mpeg_frame(std::uint32_t header) {
  // Kilobits a second; by version (MPEG-1; MPEG-2 and 2.5), layer 3…1, index.
  static constexpr std::uint16_t kBitRates[2][3][14] = {
      {{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
       {32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
       {32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448}},
      {{8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
       {8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
       {32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256}}};
  static constexpr std::uint32_t kRates[] = {44100, 48000, 32000};
  const std::uint32_t version = header >> 19 & 3, layer = header >> 17 & 3;  // MPEG-2.5, –, 2, 1; –, III, II, I
  const std::uint32_t bits = header >> 12 & 15, rate = header >> 10 & 3, padding = header >> 9 & 1;
  const bool is_known = header >> 21 == 0x7FF && version != 1 && layer != 0 && bits != 0 && bits != 15 && rate != 3;
  if (!is_known || (header & 3) == 2) return 0;  // 2: a reserved emphasis
  const std::uint32_t bits_a_second = kBitRates[version == 3 ? 0 : 1][layer - 1][bits - 1] * 1000U;
  const std::uint32_t samples_a_second = kRates[rate] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
  if (layer == 3) return (12 * bits_a_second / samples_a_second + padding) * 4;
  const std::uint32_t samples = layer == 1 && version != 3 ? 576 : 1152;  // of a frame
  return samples / 8 * bits_a_second / samples_a_second + padding;
}

// The length of the ADTS frame whose header begins here (ISO/IEC 13818-7, 6.2), 0 for no header.
std::uint64_t adts_frame(ByteView head, std::uint64_t at) {
  const std::uint32_t header = head.u32(at);
  const std::uint64_t length = (header & 3) << 11 | head.u8(at + 4) << 3 | head.u8(at + 5) >> 5;
  const bool is_header = (header & 0xFFF60000) == 0xFFF00000 && (header >> 10 & 15) < 13;
  return is_header && length > 7 ? length : 0;
}

// Two frames with the same settings follow each other; a third too, where the head is long enough. Random bytes pass
// once in 2^17 times even if they begin with a header.
MediaFormat sound_frames(ByteView head, std::uint64_t at) {
  constexpr std::uint64_t kWanted = 3, kLeast = 2;
  constexpr std::uint32_t kSameMpeg = 0xFFFE0C00, kSameAdts = 0xFFFEFDC0;  // version, layer, rate; profile, channels
  const std::uint32_t first = head.u32(at);
  const bool is_mpeg = mpeg_frame(first) > 0;
  const std::uint32_t same = is_mpeg ? kSameMpeg : kSameAdts;
  std::uint64_t found = 0;
  for (; found < kWanted && head.has(at, 6); ++found) {
    const std::uint64_t length = is_mpeg ? mpeg_frame(head.u32(at)) : adts_frame(head, at);
    if (length == 0 || (head.u32(at) & same) != (first & same)) return MediaFormat::kNone;
    at += length;
  }
  if (found < kLeast) return MediaFormat::kNone;
  return is_mpeg ? MediaFormat::kMp3 : MediaFormat::kAac;
}

// Some encoders begin with zeros. Whole files are judged by the same bytes as their heads.
MediaFormat bare_sound_frames(ByteView file) {
  const ByteView head(file.sub(0, kSniffBytes));
  std::uint64_t at = 0;
  while (at < head.size() && head.u8(at) == 0) ++at;
  return head.u8(at) == 0xFF ? sound_frames(head, at) : MediaFormat::kNone;
}

// Behind an ID3v2 tag may be other formats than MP3; a longer tag than the head hides which.
MediaFormat behind_id3(ByteView head) {
  const std::uint64_t size = id3v2_size(head);
  if (size == 0) return MediaFormat::kNone;
  if (head.starts_with("fLaC", size)) return MediaFormat::kFlac;
  return head.has(size, 6) && sound_frames(head, size) == MediaFormat::kAac ? MediaFormat::kAac : MediaFormat::kMp3;
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
MediaFormat mpeg_ts(ByteView head) {
  constexpr std::uint64_t kPackets = 5;
  for (const auto& [start, step] : {std::pair<std::uint64_t, std::uint64_t>{0, 188}, {4, 192}}) {
    std::uint64_t found = 0;
    while (found < kPackets && is_ts_packet(head, start + found * step)) ++found;
    if (found == kPackets) return MediaFormat::kMpegTs;
  }
  return MediaFormat::kNone;
}

struct Signature {
  std::uint64_t offset = 0;
  std::string_view bytes;                      // none: only `confirm` decides
  MediaFormat (*confirm)(ByteView) = nullptr;  // checks more of the head; null: the signature suffices
};

// Everything known about a format. Empty extensions and signatures are unused.
struct FormatRow {
  MediaFormat format;
  std::string_view name;
  MediaKind kind;
  FormatReader reader;
  std::array<std::string_view, 6> extensions{};
  std::array<Signature, 4> signatures{};
  bool is_raw = false;
  bool is_lossless = false;
};

// Formats of one container.
struct Twins {
  MediaFormat video, audio;
};
constexpr Twins kTwins[] = {
    {MediaFormat::kMp4, MediaFormat::kM4a},
    {MediaFormat::kMatroska, MediaFormat::kMka},
    {MediaFormat::kAsf, MediaFormat::kWma},
    {MediaFormat::kOggVideo, MediaFormat::kOggAudio},
};

constexpr bool kRaw = true, kLossless = true;

// The rows' order is that of their signatures: the first that matches wins. MP3 and MPEG-TS, which
// have none, are last.
// clang-format off
constexpr FormatRow kFormats[] = {
    {MediaFormat::kNone, "none", MediaKind::kNone, {}},
    {MediaFormat::kJpeg, "jpeg", MediaKind::kPhoto, {Codec::kJpeg}, {".jpg", ".jpeg", ".jpe", ".jfif"},
     {{{0, "\xff\xd8\xff"sv}}}},
    {MediaFormat::kPng, "png", MediaKind::kPhoto, {Codec::kVips, "pngload_buffer"}, {".png"},
     {{{0, "\x89PNG\r\n\x1a\n"sv}}}, !kRaw, kLossless},
    {MediaFormat::kWebp, "webp", MediaKind::kPhoto, {Codec::kVips, "webpload_buffer"}, {".webp"},
     {{{8, "WEBP"sv, webp}}}},
    {MediaFormat::kAvi, "avi", MediaKind::kVideo, {Codec::kFfmpeg, "avi"}, {".avi"},
     {{{8, "AVI "sv, avi}}}},
    {MediaFormat::kGif, "gif", MediaKind::kPhoto, {Codec::kVips, "gifload_buffer"}, {".gif"},
     {{{0, "GIF87a"sv}, {0, "GIF89a"sv}}}},
    {MediaFormat::kTiff, "tiff", MediaKind::kPhoto, {Codec::kVips, "tiffload_buffer"}, {".tif", ".tiff"},
     {{{0, "II*\0"sv, tiff_or_raw}, {0, "MM\0*"sv, tiff_or_raw}, {0, "II+\0"sv}, {0, "MM\0+"sv}}}, !kRaw, kLossless},
    {MediaFormat::kDng, "dng", MediaKind::kPhoto, {Codec::kLibRaw}, {".dng"}, {}, kRaw},  // raw files by TIFF's signature
    {MediaFormat::kCr2, "cr2", MediaKind::kPhoto, {Codec::kLibRaw}, {".cr2"}, {}, kRaw},
    {MediaFormat::kNef, "nef", MediaKind::kPhoto, {Codec::kLibRaw}, {".nef", ".nrw"}, {}, kRaw},
    {MediaFormat::kArw, "arw", MediaKind::kPhoto, {Codec::kLibRaw}, {".arw", ".sr2", ".srf"}, {}, kRaw},
    {MediaFormat::kOrf, "orf", MediaKind::kPhoto, {Codec::kLibRaw}, {".orf"},
     {{{0, "IIRO"sv}, {0, "IIRS"sv}, {0, "MMOR"sv}}}, kRaw},
    {MediaFormat::kRw2, "rw2", MediaKind::kPhoto, {Codec::kLibRaw}, {".rw2", ".rwl"},
     {{{0, "IIU\0"sv}}}, kRaw},
    {MediaFormat::kRaf, "raf", MediaKind::kPhoto, {Codec::kLibRaw}, {".raf"},
     {{{0, "FUJIFILMCCD-RAW "sv}}}, kRaw},
    {MediaFormat::kMrw, "mrw", MediaKind::kPhoto, {Codec::kLibRaw}, {".mrw"},
     {{{0, "\0MRM"sv}}}, kRaw},
    {MediaFormat::kPef, "pef", MediaKind::kPhoto, {Codec::kLibRaw}, {".pef"}, {}, kRaw},
    {MediaFormat::kSrw, "srw", MediaKind::kPhoto, {Codec::kLibRaw}, {".srw"}, {}, kRaw},
    {MediaFormat::kIiq, "iiq", MediaKind::kPhoto, {Codec::kLibRaw}, {".iiq"}, {}, kRaw},
    {MediaFormat::k3fr, "3fr", MediaKind::kPhoto, {Codec::kLibRaw}, {".3fr", ".fff"}, {}, kRaw},
    {MediaFormat::kErf, "erf", MediaKind::kPhoto, {Codec::kLibRaw}, {".erf"}, {}, kRaw},
    {MediaFormat::kMef, "mef", MediaKind::kPhoto, {Codec::kLibRaw}, {".mef"}, {}, kRaw},
    {MediaFormat::kMos, "mos", MediaKind::kPhoto, {Codec::kLibRaw}, {".mos"}, {}, kRaw},
    {MediaFormat::kKdc, "kdc", MediaKind::kPhoto, {Codec::kLibRaw}, {".kdc", ".dcr", ".dcs"}, {}, kRaw},
    {MediaFormat::kOtherRaw, "raw", MediaKind::kPhoto, {Codec::kLibRaw}, {}, {}, kRaw},
    {MediaFormat::kCr3, "cr3", MediaKind::kPhoto, {Codec::kLibRaw}, {".cr3"}, {}, kRaw},  // by MP4's brands
    {MediaFormat::kJxl, "jxl", MediaKind::kPhoto, {Codec::kVips, "jxlload_buffer"}, {".jxl"},
     {{{0, "\0\0\0\x0cJXL \r\n\x87\n"sv}, {0, "\xff\x0a"sv, jxl_codestream}}}},
    {MediaFormat::kBmp, "bmp", MediaKind::kPhoto, {Codec::kBmp}, {".bmp", ".dib"},
     {{{0, "BM"sv, windows_bitmap}}}, !kRaw, kLossless},
    {MediaFormat::kHeif, "heif", MediaKind::kPhoto, {Codec::kVips, "heifload_buffer"}, {".heic", ".heif", ".hif"}},
    {MediaFormat::kAvif, "avif", MediaKind::kPhoto, {Codec::kVips, "heifload_buffer"}, {".avif"}},  // both by MP4's brands
    {MediaFormat::kMp4, "mp4", MediaKind::kVideo, {Codec::kFfmpeg, "mov"}, {".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2"},
     {{{4, "ftyp"sv, by_brands}, {4, "moov"sv, old_quicktime}, {4, "mdat"sv, old_quicktime}, {4, "wide"sv, old_quicktime}}}},
    {MediaFormat::kMatroska, "matroska", MediaKind::kVideo, {Codec::kFfmpeg, "matroska"}, {".mkv", ".webm"},
     {{{0, "\x1a\x45\xdf\xa3"sv, matroska}}}},
    {MediaFormat::kFlv, "flv", MediaKind::kVideo, {Codec::kFfmpeg, "flv"}, {".flv"},
     {{{0, "FLV\x01"sv}}}},
    {MediaFormat::kAsf, "asf", MediaKind::kVideo, {Codec::kFfmpeg, "asf"}, {".wmv", ".asf"},
     {{{0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"sv, asf}}}},
    {MediaFormat::kOggVideo, "ogv", MediaKind::kVideo, {Codec::kFfmpeg, "ogg"}, {".ogv"},
     {{{0, "OggS"sv, ogg}}}},
    {MediaFormat::kMpegPs, "mpegps", MediaKind::kVideo, {Codec::kFfmpeg, "mpeg"}, {".mpg", ".mpeg", ".vob"},
     {{{0, "\0\0\x01\xba"sv, mpeg_ps}}}},
    {MediaFormat::kM4a, "m4a", MediaKind::kAudio, {Codec::kFfmpeg, "mov"}, {".m4a", ".m4b", ".m4p", ".f4a"}},  // by brands
    {MediaFormat::kMka, "mka", MediaKind::kAudio, {Codec::kFfmpeg, "matroska"}, {".mka", ".weba"}},
    {MediaFormat::kWma, "wma", MediaKind::kAudio, {Codec::kFfmpeg, "asf"}, {".wma"}},
    {MediaFormat::kOggAudio, "ogg", MediaKind::kAudio, {Codec::kFfmpeg, "ogg"}, {".ogg", ".oga", ".opus", ".spx"}},
    {MediaFormat::kWav, "wav", MediaKind::kAudio, {Codec::kFfmpeg, "wav"}, {".wav", ".wave", ".bwf", ".rf64"},
     {{{8, "WAVE"sv, wav}}}},
    {MediaFormat::kFlac, "flac", MediaKind::kAudio, {Codec::kFfmpeg, "flac"}, {".flac"},
     {{{0, "fLaC"sv}}}},
    {MediaFormat::kAiff, "aiff", MediaKind::kAudio, {Codec::kFfmpeg, "aiff"}, {".aiff", ".aif", ".aifc"},
     {{{0, "FORM"sv, aiff}}}},
    {MediaFormat::kAmr, "amr", MediaKind::kAudio, {Codec::kFfmpeg, "amr"}, {".amr", ".awb"},
     {{{0, "#!AMR\n"sv}, {0, "#!AMR-WB\n"sv}}}},
    {MediaFormat::kMp3, "mp3", MediaKind::kAudio, {Codec::kFfmpeg, "mp3"}, {".mp3", ".mp2", ".mpga"},
     {{{0, "ID3"sv, behind_id3}, {0, ""sv, bare_sound_frames}}}},
    {MediaFormat::kAac, "aac", MediaKind::kAudio, {Codec::kFfmpeg, "aac"}, {".aac", ".adts"}},  // by MP3's row
    {MediaFormat::kMpegTs, "mpegts", MediaKind::kVideo, {Codec::kFfmpeg, "mpegts"}, {".mts", ".m2ts", ".mpeg"},
     {{{0, ""sv, mpeg_ts}}}},
};
// clang-format on

// Camera formats with photo extensions that are not supported.
constexpr std::string_view kUnreadExtensions[] = {".x3f", ".crw"};

// The index of each enumerator's row.
constexpr auto kRowOf = [] {
  std::array<std::uint8_t, std::size(kFormats)> rows{};
  for (size_t i = 0; i < std::size(kFormats); ++i)
    rows[static_cast<size_t>(kFormats[i].format)] = static_cast<std::uint8_t>(i);
  return rows;
}();

const FormatRow& row_of(MediaFormat format) {
  return kFormats[is_media_format(format) ? kRowOf[static_cast<size_t>(format)] : 0];
}

bool has_extension(const FormatRow& row, std::string_view extension) {
  return !extension.empty() && std::ranges::find(row.extensions, extension) != row.extensions.end();
}

MediaFormat by_signature(const FormatRow& row, ByteView head) {
  for (const auto& signature : row.signatures) {
    if (signature.bytes.empty() && signature.confirm == nullptr) break;
    if (!head.starts_with(signature.bytes, signature.offset)) continue;
    const auto format = signature.confirm ? signature.confirm(head) : row.format;
    if (format != MediaFormat::kNone) return format;
  }
  return MediaFormat::kNone;
}

}  // namespace

std::string_view format_name(MediaFormat format) { return row_of(format).name; }

MediaFormat format_from_name(std::string_view name) {
  for (const auto& row : kFormats)
    if (row.name == name) return row.format;
  return MediaFormat::kNone;
}

MediaKind media_kind(MediaFormat format) { return row_of(format).kind; }
bool is_raw(MediaFormat format) { return row_of(format).is_raw; }
bool is_lossless(MediaFormat format) { return row_of(format).is_lossless; }
FormatReader reader_of(MediaFormat format) { return row_of(format).reader; }
bool is_media_format(MediaFormat format) { return static_cast<size_t>(format) < std::size(kFormats); }

MediaFormat as_video(MediaFormat format) {
  if (media_kind(format) == MediaKind::kVideo) return format;
  const auto* found = std::ranges::find(kTwins, format, &Twins::audio);
  return found == std::end(kTwins) ? MediaFormat::kNone : found->video;
}

MediaFormat as_audio(MediaFormat format) {
  if (media_kind(format) == MediaKind::kAudio) return format;
  const auto* found = std::ranges::find(kTwins, format, &Twins::video);
  return found == std::end(kTwins) ? MediaFormat::kNone : found->audio;
}

std::string_view kind_name(MediaKind kind) {
  static constexpr std::string_view kNames[] = {"none", "photo", "video", "audio"};
  return kNames[static_cast<size_t>(kind)];
}

MediaFormat sniff_format(std::span<const std::byte> bytes) {
  const ByteView head(bytes);
  for (const auto& row : kFormats)
    if (const auto format = by_signature(row, head); format != MediaFormat::kNone) return format;
  return MediaFormat::kNone;
}

MediaKind kind_by_extension(std::string_view lower_extension) {
  for (const auto& row : kFormats)
    if (has_extension(row, lower_extension)) return row.kind;
  return std::ranges::find(kUnreadExtensions, lower_extension) != std::end(kUnreadExtensions) ? MediaKind::kPhoto
                                                                                              : MediaKind::kNone;
}

std::vector<MediaFormat> formats_called(std::string_view lower_name) {
  const std::string extension = "." + std::string(lower_name);
  std::vector<MediaFormat> formats;
  for (const auto& row : kFormats)
    if (row.kind != MediaKind::kNone &&
        (row.name == lower_name || has_extension(row, extension) || (row.is_raw && lower_name == "raw")))
      formats.push_back(row.format);
  return formats;
}

}  // namespace image_engine
