#include "media/sound_container.h"

#include <string_view>

#include "types/byte_view.h"

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;

// A header of ADTS (ISO/IEC 13818-7, 6.2) has layer 0, one of MPEG audio (ISO/IEC 11172-3, 2.4.2.3) any other.
bool is_adts(ByteView head, std::uint64_t at) { return head.u8(at) == 0xFF && (head.u8(at + 1) & 0xF6) == 0xF0; }
bool is_mpeg_audio(ByteView head, std::uint64_t at) {
  const auto version = head.u8(at + 1), rate = head.u8(at + 2);
  return head.u8(at) == 0xFF && (version & 0xE0) == 0xE0 && (version & 0x18) != 0x08 && (version & 0x06) != 0 &&
         rate >> 4 != 15 && (rate >> 2 & 3) != 3;
}

// What follows an ID3v2 tag, whose length has seven bits in a byte.
const char* behind_id3(ByteView head) {
  std::uint64_t length = 0;
  for (std::uint64_t i = 6; i < 10; ++i) length = length << 7 | (head.u8(i) & 0x7FU);
  const std::uint64_t at = 10 + length + ((head.u8(5) & 0x10) != 0 ? 10 : 0);
  if (head.starts_with("fLaC", at)) return "flac";
  return is_adts(head, at) ? "aac" : "mp3";
}

const char* of_riff(ByteView head) { return head.starts_with("WAVE", 8) ? "wav" : nullptr; }
const char* of_iff(ByteView head) {
  return head.starts_with("AIFF", 8) || head.starts_with("AIFC", 8) ? "aiff" : nullptr;
}
const char* of_mp4(ByteView head) {
  for (const auto brand : {"M4A "sv, "M4B "sv, "M4P "sv, "F4A "sv, "F4B "sv})
    if (head.text(8, 4) == brand) return "mov";
  return nullptr;
}
const char* of_mpeg(ByteView head) { return is_adts(head, 0) ? "aac" : is_mpeg_audio(head, 0) ? "mp3" : nullptr; }

struct SoundSignature {
  std::uint64_t offset;
  std::string_view bytes;
  const char* demuxer;                         // null: `confirm` tells
  const char* (*confirm)(ByteView) = nullptr;  // null as a result: it is another format
};
constexpr SoundSignature kSoundSignatures[] = {
    {0, "RIFF"sv, nullptr, of_riff},
    {0, "RF64"sv, nullptr, of_riff},
    {0, "ID3"sv, nullptr, behind_id3},
    {0, "fLaC"sv, "flac"},
    {0, "OggS"sv, "ogg"},
    {4, "ftyp"sv, nullptr, of_mp4},
    {0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"sv, "asf"},
    {0, "FORM"sv, nullptr, of_iff},
    {0, "caff"sv, "caf"},
    {0, ".snd"sv, "au"},
    {0, "#!AMR"sv, "amr"},
    {0, "riff\x2e\x91\xcf\x11"sv, "w64"},
    {0, "wvpk"sv, "wv"},
    {0, "MAC "sv, "ape"},
    {0, "\x0b\x77"sv, "ac3"},
    {0, "\xff"sv, nullptr, of_mpeg},
};

}  // namespace

const char* sound_demuxer(Bytes file) {
  if (const FormatReader reader = reader_of(detect_format(file)); reader.codec == Codec::kFfmpeg) return reader.name;
  const ByteView head(file);
  for (const SoundSignature& row : kSoundSignatures) {
    if (!head.starts_with(row.bytes, row.offset)) continue;
    if (const char* demuxer = row.confirm != nullptr ? row.confirm(head) : row.demuxer) return demuxer;
  }
  return nullptr;
}

}  // namespace image_engine::media
