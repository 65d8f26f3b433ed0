// Signatures by their formats' specifications.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "types/byte_view.h"
#include "types/media_format.h"

namespace image_engine {
namespace {

using namespace std::string_view_literals;

MediaFormat sniff(std::string_view bytes) { return sniff_format(std::as_bytes(std::span(bytes))); }

// A little-endian TIFF of these IFD0 entries {tag, type, count, value}, with `tail` behind it.
std::string tiff(std::initializer_list<std::array<std::uint32_t, 4>> entries, std::string_view tail = {}) {
  std::string file("II*\0\x08\0\0\0"sv);
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file += static_cast<char>(value >> (8 * i));
  };
  put(static_cast<std::uint32_t>(entries.size()), 2);
  for (const auto& [tag, type, count, value] : entries) put(tag, 2), put(type, 2), put(count, 4), put(value, 4);
  put(0, 4);
  return file.append(tail);
}
// Where the tail of a TIFF with so many entries begins.
constexpr std::uint32_t tail_of(std::uint32_t entries) { return 8 + 2 + entries * 12 + 4; }

TEST(Sniff, PicturesByTheirSignature) {
  EXPECT_EQ(sniff("\xff\xd8\xff\xe0"sv), MediaFormat::kJpeg);
  EXPECT_EQ(sniff("\x89PNG\r\n\x1a\n"sv), MediaFormat::kPng);
  EXPECT_EQ(sniff("RIFF\x10\0\0\0WEBPVP8L"sv), MediaFormat::kWebp);
  EXPECT_EQ(sniff("GIF87a"sv), MediaFormat::kGif);
  EXPECT_EQ(sniff("GIF89a"sv), MediaFormat::kGif);
  EXPECT_EQ(sniff("\0\0\0\x0cJXL \r\n\x87\n"sv), MediaFormat::kJxl);
  EXPECT_EQ(sniff("\xff\x0a\xfa\x1f\x01\x90\x10"sv), MediaFormat::kJxl);
  EXPECT_EQ(sniff("BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"sv), MediaFormat::kBmp);
  EXPECT_EQ(sniff("MM\0*\0\0\0\x08\0\0"sv), MediaFormat::kTiff);
  EXPECT_EQ(sniff("II+\0\x08\0\0\0"sv), MediaFormat::kTiff);
}

TEST(Sniff, IsoMediaByBrand) {
  EXPECT_EQ(sniff("\0\0\0\x18"
                  "ftypheic\0\0\0\0mif1heic"sv),
            MediaFormat::kHeif);
  EXPECT_EQ(sniff("\0\0\0\x18"
                  "ftypmif1\0\0\0\0mif1avif"sv),
            MediaFormat::kAvif);
  EXPECT_EQ(sniff("\0\0\0\x18"
                  "ftypmif1\0\0\0\0mif1heic"sv),
            MediaFormat::kHeif);
  EXPECT_EQ(sniff("\0\0\0\x14"
                  "ftypavif\0\0\0\0avif"sv),
            MediaFormat::kAvif);
  EXPECT_EQ(sniff("\0\0\0\x14"
                  "ftypisom\0\0\0\0isom"sv),
            MediaFormat::kMp4);
  EXPECT_EQ(sniff("\0\0\0\x14"
                  "ftypqt  \0\0\0\0qt  "sv),
            MediaFormat::kMp4);
  EXPECT_EQ(sniff("\0\0\0\x08wide\0\0\0\0mdat"sv), MediaFormat::kMp4);
  EXPECT_EQ(sniff("\0\0\0\x14"
                  "ftypM4A \0\0\0\0M4A "sv),
            MediaFormat::kM4a);
  EXPECT_EQ(sniff("\0\0\0\x14"
                  "ftypcrx \0\0\0\0crx "sv),
            MediaFormat::kCr3);
}

TEST(Sniff, RawByWhatTheirTiffSays) {
  EXPECT_EQ(sniff("II*\0\x10\0\0\0CR\x02\0"sv), MediaFormat::kCr2);
  EXPECT_EQ(sniff("IIRO\x08\0\0\0"sv), MediaFormat::kOrf);
  EXPECT_EQ(sniff("IIRS\x08\0\0\0"sv), MediaFormat::kOrf);
  EXPECT_EQ(sniff("MMOR\0\0\0\x08"sv), MediaFormat::kOrf);
  EXPECT_EQ(sniff("IIU\0\x18\0\0\0"sv), MediaFormat::kRw2);
  EXPECT_EQ(sniff(tiff({{50706, 1, 4, 0x401}})), MediaFormat::kDng);
  EXPECT_EQ(sniff(tiff({{254, 4, 1, 1}, {271, 2, 18, tail_of(3)}, {330, 4, 1, 999}}, "NIKON CORPORATION\0"sv)),
            MediaFormat::kNef);
  EXPECT_EQ(sniff(tiff({{254, 4, 1, 1}, {271, 2, 5, tail_of(3)}, {330, 4, 1, 999}}, "SONY\0"sv)), MediaFormat::kArw);
  EXPECT_EQ(sniff(tiff({{271, 2, 5, tail_of(2)}, {50740, 1, 4, 0}}, "SONY\0"sv)), MediaFormat::kArw);
  EXPECT_EQ(sniff(tiff({{262, 3, 1, 32803}, {271, 2, 7, tail_of(2)}}, "PENTAX\0"sv)), MediaFormat::kPef);
  EXPECT_EQ(sniff(tiff({{254, 4, 1, 1}, {271, 2, 8, tail_of(3)}, {330, 4, 1, 999}}, "SAMSUNG\0"sv)), MediaFormat::kSrw);
  EXPECT_EQ(sniff(tiff({{262, 3, 1, 32803}})), MediaFormat::kOtherRaw);
  EXPECT_EQ(sniff("II*\0\x08\0\0\0IIII"sv), MediaFormat::kIiq);
  EXPECT_EQ(sniff("FUJIFILMCCD-RAW 0201"sv), MediaFormat::kRaf);
  EXPECT_EQ(sniff("\0MRM\0\0\0\0"sv), MediaFormat::kMrw);
}

// What an editor saves from a Nikon's or Sony's raw file keeps the Make.
TEST(Sniff, ATiffWithACamerasNameIsATiff) {
  EXPECT_EQ(sniff(tiff({{271, 2, 18, tail_of(1)}}, "NIKON CORPORATION\0"sv)), MediaFormat::kTiff);
  EXPECT_EQ(sniff(tiff({{271, 2, 5, tail_of(1)}}, "SONY\0"sv)), MediaFormat::kTiff);
  EXPECT_EQ(sniff(tiff({{271, 2, 18, 0xFFFFFFF0}, {330, 4, 1, 999}})), MediaFormat::kTiff);
}

TEST(Sniff, Videos) {
  EXPECT_EQ(sniff("RIFF\x10\0\0\0AVI LIST"sv), MediaFormat::kAvi);
  EXPECT_EQ(sniff("\x1a\x45\xdf\xa3\x93\x42\x82\x84webm"sv), MediaFormat::kMatroska);
  EXPECT_EQ(sniff("FLV\x01\x05\0\0\0\x09"sv), MediaFormat::kFlv);
  EXPECT_EQ(sniff("\0\0\x01\xba\x44\0\x04\0\x04\x01"sv), MediaFormat::kMpegPs);
  EXPECT_EQ(sniff("\0\0\x01\xba\x21\0\x01\0\x01\x80"sv), MediaFormat::kMpegPs);
  std::string ts(188 * 6, '\0'), m2ts(192 * 6, '\0');
  for (size_t i = 0; i < 6; ++i) {
    ts[i * 188] = m2ts[4 + i * 192] = 0x47;
    ts[i * 188 + 3] = m2ts[4 + i * 192 + 3] = 0x10;
  }
  EXPECT_EQ(sniff(ts), MediaFormat::kMpegTs);
  EXPECT_EQ(sniff(m2ts), MediaFormat::kMpegTs);
}

TEST(Sniff, Sound) {
  EXPECT_EQ(sniff("RIFF\x10\0\0\0WAVEfmt "sv), MediaFormat::kWav);
  EXPECT_EQ(sniff("RF64\xff\xff\xff\xffWAVEds64"sv), MediaFormat::kWav);
  EXPECT_EQ(sniff("FORM\0\0\0\x10"
                  "AIFFCOMM"sv),
            MediaFormat::kAiff);
  EXPECT_EQ(sniff("FORM\0\0\0\x10"
                  "AIFCFVER"sv),
            MediaFormat::kAiff);
  EXPECT_EQ(sniff("fLaC\0\0\0\x22"sv), MediaFormat::kFlac);
  EXPECT_EQ(sniff("#!AMR\n\x3c"sv), MediaFormat::kAmr);
  EXPECT_EQ(sniff("#!AMR-WB\n\x04"sv), MediaFormat::kAmr);
  for (const auto packet : {"\x01vorbis"sv, "OpusHead\x01"sv,
                            "\x7f"
                            "FLAC\x01"sv,
                            "Speex   1.2"sv})
    EXPECT_EQ(sniff("OggS\0\x02" + std::string(20, '\0') + "\x01\x1e" + std::string(packet)), MediaFormat::kOggAudio);
  EXPECT_EQ(sniff("OggS\0\x02" + std::string(20, '\0') + "\x01vorbis OggS \x80theora"), MediaFormat::kOggVideo);
}

// The header and nothing else of a frame that is `length` bytes long.
std::string frame(std::string_view header, size_t length) {
  std::string bytes(header);
  bytes.resize(length);
  return bytes;
}
// MPEG-1 layer III, 128 kbit/s at 44.1 kHz: 417 bytes, 418 with padding.
std::string mp3_frames() {
  return frame("\xff\xfb\x90\x44"sv, 417) + frame("\xff\xfb\x92\x44"sv, 418) + frame("\xff\xfb\x90\x44"sv, 417);
}

TEST(Sniff, MpegAudioByFramesThatFollowEachOther) {
  EXPECT_EQ(sniff(mp3_frames()), MediaFormat::kMp3);
  EXPECT_EQ(sniff(std::string(300, '\0') + mp3_frames()), MediaFormat::kMp3) << "zeros before it";
  EXPECT_EQ(sniff(frame("\xff\xfd\xa4\x04"sv, 576) + frame("\xff\xfd\xa4\x04"sv, 576)), MediaFormat::kMp3)
      << "layer II, 192 kbit/s, 48 kHz";
  EXPECT_EQ(sniff(frame("\xff\xf3\x84\xc4"sv, 192) + frame("\xff\xf3\x84\xc4"sv, 192)), MediaFormat::kMp3)
      << "MPEG-2, 64 kbit/s, 24 kHz";
  EXPECT_EQ(sniff(mp3_frames().substr(0, 417)), MediaFormat::kNone) << "one frame may be anything";
  EXPECT_EQ(sniff(frame("\xff\xfb\x90\x44"sv, 417) + "this is no second frame"), MediaFormat::kNone);
  EXPECT_EQ(sniff(frame("\xff\xfb\x90\x44"sv, 417) + frame("\xff\xfb\x94\x44"sv, 384) + mp3_frames()),
            MediaFormat::kNone)
      << "another rate";
  EXPECT_EQ(sniff("a" + mp3_frames()), MediaFormat::kNone) << "inside another file";
  for (const auto reserved : {"\xff\xeb\x90\x44"sv, "\xff\xf9\xf0\x44"sv, "\xff\xfb\xf0\x44"sv, "\xff\xfb\x00\x44"sv,
                              "\xff\xfb\x9c\x44"sv, "\xff\xfb\x90\x46"sv})
    EXPECT_EQ(sniff(frame(reserved, 417) + frame(reserved, 417) + frame(reserved, 417)), MediaFormat::kNone);
}

TEST(Sniff, AWholeFileIsWhatItsHeadIs) {
  const std::string whole = std::string(3600, '\0') + mp3_frames().substr(0, 417 + 418) + "this is no third frame";
  ASSERT_GT(whole.size(), kSniffBytes);
  EXPECT_EQ(sniff(std::string_view(whole).substr(0, kSniffBytes)), MediaFormat::kMp3);
  EXPECT_EQ(sniff(whole), MediaFormat::kMp3);
}

// A profile of low complexity at 44.1 kHz in stereo, frames of 256 bytes.
std::string adts_frames() {
  return frame("\xff\xf1\x50\x80\x20\x1f\xfc"sv, 256) + frame("\xff\xf1\x50\x80\x20\x1f\xfc"sv, 256);
}

TEST(Sniff, AdtsByFramesThatFollowEachOther) {
  EXPECT_EQ(sniff(adts_frames()), MediaFormat::kAac);
  EXPECT_EQ(sniff(adts_frames().substr(0, 256)), MediaFormat::kNone);
  EXPECT_EQ(sniff(adts_frames().substr(0, 256) + frame("\xff\xf1\x54\x80\x20\x1f\xfc"sv, 256)), MediaFormat::kNone)
      << "another rate";
  EXPECT_EQ(sniff(adts_frames().substr(0, 256) + mp3_frames()), MediaFormat::kNone);
}

TEST(Sniff, WhatIsBehindAnId3TagCounts) {
  const std::string header("ID3\x04\0\0"sv), tag = header + std::string("\0\0\0\x10"sv) + std::string(16, 'x');
  EXPECT_EQ(sniff(tag + mp3_frames()), MediaFormat::kMp3);
  EXPECT_EQ(sniff(tag + adts_frames()), MediaFormat::kAac);
  EXPECT_EQ(sniff(tag + "fLaC"), MediaFormat::kFlac);
  EXPECT_EQ(sniff(header + std::string("\x7f\x7f\x7f\x7f") + "TIT2"), MediaFormat::kMp3)
      << "a tag that is longer than the head";
  EXPECT_EQ(sniff(header + std::string("\x80\0\0\x10"sv) + std::string(16, 'x')), MediaFormat::kNone)
      << "no size of a tag";
}

TEST(Sniff, NoisyBytesAreNoSound) {
  std::uint64_t state = 1;
  int found = 0;
  for (int file = 0; file < 2000; ++file) {
    std::string bytes = file % 2 == 0 ? "\xff\xfb" : "\xff\xf1";
    while (bytes.size() < kSniffBytes)
      bytes += static_cast<char>((state = state * 6364136223846793005U + 1442695040888963407U) >> 56);
    found += sniff(bytes) != MediaFormat::kNone ? 1 : 0;
  }
  EXPECT_EQ(found, 0);
}

TEST(Sniff, OtherFilesAreNone) {
  for (const auto bytes :
       {""sv, "hello"sv, "BM, said the baker to the candlestick maker"sv, "%PDF-1.7"sv, "PK\x03\x04"sv,
        "GGGGGGGGGGGGGGGG"sv, "\xff\xfb\x90\x44"sv, "ID3\x03"sv, "ID3 is what MP3 files have"sv, "\0\0\x01\xba\x81\0"sv,
        "FORM\0\0\0\x10ILBMBMHD"sv, "OggS\0\x02\0\0text"sv, "<svg xmlns="sv, "#!/bin/sh"sv})
    EXPECT_EQ(sniff(bytes), MediaFormat::kNone) << bytes;
  EXPECT_EQ(sniff(std::string(4096, 'G')), MediaFormat::kNone) << "G is the sync byte of MPEG-TS";
}

TEST(Sniff, PrefixesOfAnythingAreSafe) {
  const auto file = tiff({{254, 4, 1, 1}, {271, 2, 18, tail_of(3)}, {330, 4, 1, 999}}, "NIKON CORPORATION\0"sv);
  for (size_t size = 0; size <= file.size(); ++size) (void)sniff(std::string_view(file).substr(0, size));
}

TEST(Format, NamesAreUniqueAndComeBack) {
  std::set<std::string_view> names;
  for (int i = 0; is_media_format(static_cast<MediaFormat>(i)); ++i) {
    const auto format = static_cast<MediaFormat>(i);
    EXPECT_TRUE(names.insert(format_name(format)).second);
    EXPECT_EQ(format_from_name(format_name(format)), format);
    EXPECT_EQ(media_kind(format) == MediaKind::kNone, format == MediaFormat::kNone);
  }
  EXPECT_EQ(format_from_name("nonsense"), MediaFormat::kNone);
  EXPECT_EQ(format_name(static_cast<MediaFormat>(250)), "none");
}

TEST(Format, EveryOneHasAReaderAndWhatACameraWritesIsRaw) {
  std::set<std::string_view> raw;
  std::set<std::string_view> lossless;
  for (std::uint8_t i = 0; is_media_format(static_cast<MediaFormat>(i)); ++i) {
    const auto format = static_cast<MediaFormat>(i);
    EXPECT_EQ(reader_of(format).codec == Codec::kNone, format == MediaFormat::kNone) << format_name(format);
    EXPECT_EQ(reader_of(format).codec == Codec::kFfmpeg,
              media_kind(format) == MediaKind::kVideo || media_kind(format) == MediaKind::kAudio);
    if (is_raw(format)) raw.insert(format_name(format));
    if (is_lossless(format)) lossless.insert(format_name(format));
  }
  EXPECT_EQ(raw, (std::set<std::string_view>{"dng", "cr2", "nef", "arw", "orf", "rw2", "cr3", "raf", "pef", "srw",
                                             "iiq", "3fr", "mrw", "erf", "mef", "mos", "kdc", "raw"}));
  EXPECT_EQ(lossless, (std::set<std::string_view>{"png", "tiff", "bmp"}));
  EXPECT_FALSE(is_media_format(static_cast<MediaFormat>(250)));
}

TEST(Format, OneContainerForVideosAndSound) {
  using F = MediaFormat;
  const std::set<std::pair<F, F>> expected = {
      {F::kMp4, F::kM4a}, {F::kMatroska, F::kMka}, {F::kAsf, F::kWma}, {F::kOggVideo, F::kOggAudio}};
  std::set<std::pair<F, F>> found;
  for (std::uint8_t i = 0; is_media_format(static_cast<F>(i)); ++i) {
    const auto format = static_cast<F>(i);
    if (media_kind(format) == MediaKind::kVideo && as_audio(format) != F::kNone)
      found.insert({format, as_audio(format)});
    if (media_kind(format) == MediaKind::kVideo) EXPECT_EQ(as_video(format), format);
    if (media_kind(format) == MediaKind::kAudio) EXPECT_EQ(as_audio(format), format);
    if (media_kind(format) == MediaKind::kPhoto)
      EXPECT_TRUE(as_audio(format) == F::kNone && as_video(format) == F::kNone);
  }
  EXPECT_EQ(found, expected);
  for (const auto& [video, audio] : expected) {
    EXPECT_EQ(as_video(audio), video);
    EXPECT_STREQ(reader_of(audio).name, reader_of(video).name);
  }
}

TEST(Format, IsCalledByItsNameOrAnExtension) {
  using Formats = std::vector<MediaFormat>;
  EXPECT_EQ(formats_called("jpeg"), Formats{MediaFormat::kJpeg});
  EXPECT_EQ(formats_called("jpg"), Formats{MediaFormat::kJpeg});
  EXPECT_EQ(formats_called("mov"), Formats{MediaFormat::kMp4});
  EXPECT_EQ(formats_called("mpg"), Formats{MediaFormat::kMpegPs});
  EXPECT_EQ(formats_called("mpeg"), (Formats{MediaFormat::kMpegPs, MediaFormat::kMpegTs}));
  EXPECT_EQ(formats_called("raw").size(), 18U);
  EXPECT_EQ(formats_called("mp3"), Formats{MediaFormat::kMp3});
  EXPECT_EQ(formats_called("opus"), Formats{MediaFormat::kOggAudio});
  for (const auto nothing : {"", "none", ".jpg", "song", "x3f"})
    EXPECT_TRUE(formats_called(nothing).empty()) << nothing;
}

TEST(Format, Extensions) {
  for (const auto unread : {".cr3", ".nrw", ".raf"}) EXPECT_EQ(kind_by_extension(unread), MediaKind::kPhoto);
  EXPECT_EQ(kind_by_extension(".jpg"), MediaKind::kPhoto);
  EXPECT_EQ(kind_by_extension(".heic"), MediaKind::kPhoto);
  EXPECT_EQ(kind_by_extension(".mov"), MediaKind::kVideo);
  for (const auto sound : {".mp3", ".m4a", ".wav", ".flac", ".ogg", ".opus", ".aiff", ".wma", ".amr", ".aac", ".mka"})
    EXPECT_EQ(kind_by_extension(sound), MediaKind::kAudio) << sound;
  EXPECT_EQ(kind_by_extension(".txt"), MediaKind::kNone);
  EXPECT_EQ(kind_by_extension(""), MediaKind::kNone);
}

TEST(ByteView, ReadsInBothOrdersAndZeroBeyondTheEnd) {
  const auto bytes = "\x01\x02\x03\x04\x05\x06\x07\x08"sv;
  const ByteView big(std::as_bytes(std::span(bytes)));
  EXPECT_EQ(big.u16(0), 0x0102);
  EXPECT_EQ(big.u32(0), 0x01020304U);
  EXPECT_EQ(big.u64(0), 0x0102030405060708ULL);
  EXPECT_EQ(big.with_order(ByteOrder::kLittle).u32(0), 0x04030201U);
  EXPECT_EQ(big.u32(6), 0x07080000U);
  EXPECT_EQ(big.u8(~std::uint64_t{0}), 0);
  EXPECT_FALSE(big.has(~std::uint64_t{0}, 2));
  EXPECT_TRUE(big.sub(8).empty());
  EXPECT_EQ(big.text(6, 100), "\x07\x08");
}

}  // namespace
}  // namespace image_engine
