#include "media/sound_tags.h"

#include <algorithm>
#include <charconv>

#include "types/byte_view.h"
#include "types/id3.h"

namespace image_engine::media {
namespace {

std::uint64_t begin_behind_id3(ByteView file) {
  std::uint64_t at = 0;
  while (const std::uint64_t size = id3v2_size(file, at)) at += size;
  return at;
}

// The size of a tag that ends at `end`; 0 if there is none.
std::uint64_t id3v1_before(ByteView file, std::uint64_t end) {
  constexpr std::uint64_t kSize = 128;
  return end >= kSize && file.starts_with("TAG", end - kSize) ? kSize : 0;
}

// A footer of 32 bytes, whose size counts it and the items, but not the header that may precede them (APEv2).
std::uint64_t ape_before(ByteView file, std::uint64_t end) {
  constexpr std::uint64_t kFooter = 32;
  constexpr std::uint32_t kHasHeader = 1U << 31;
  if (end < kFooter || !file.starts_with("APETAGEX", end - kFooter)) return 0;
  const ByteView little = file.with_order(ByteOrder::kLittle);
  const std::uint64_t size = little.u32(end - kFooter + 12);
  return size + ((little.u32(end - kFooter + 20) & kHasHeader) != 0 ? kFooter : 0);
}

// Six digits that count the tag without themselves, and a mark (Lyrics3 v2).
std::uint64_t lyrics_before(ByteView file, std::uint64_t end) {
  constexpr std::uint64_t kMark = 9, kDigits = 6;
  if (end < kMark + kDigits || !file.starts_with("LYRICS200", end - kMark)) return 0;
  const std::string_view digits = file.text(end - kMark - kDigits, kDigits);
  std::uint64_t size = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
  return error == std::errc() && stop == digits.data() + digits.size() ? size + kMark + kDigits : 0;
}

std::uint64_t end_before_tags(ByteView file) {
  std::uint64_t end = file.size();
  for (const auto tag_before : {id3v1_before, lyrics_before, ape_before}) {
    const std::uint64_t size = tag_before(file, end);
    if (size <= end) end -= size;
  }
  return end;
}

// Behind the metadata blocks, the last of which says so; at most to the end of the file.
std::uint64_t flac_frames(ByteView file, std::uint64_t at) {
  constexpr std::uint8_t kIsLast = 0x80;
  constexpr std::uint64_t kHeader = 4;
  if (!file.starts_with("fLaC", at)) return at;
  bool is_last = false;
  for (at += 4; !is_last && file.has(at, kHeader); at += kHeader + (file.u32(at) & 0xFFFFFF))
    is_last = (file.u8(at) & kIsLast) != 0;
  return at;
}

}  // namespace

Bytes without_sound_tags(MediaFormat format, Bytes file) {
  const bool is_flac = format == MediaFormat::kFlac;
  if (!is_flac && format != MediaFormat::kMp3 && format != MediaFormat::kAac) return file;
  const ByteView view(file);
  const std::uint64_t end = end_before_tags(view);
  std::uint64_t begin = begin_behind_id3(view);
  if (is_flac) begin = flac_frames(view, begin);
  return begin < end ? file.subspan(begin, end - begin) : file;
}

}  // namespace image_engine::media
