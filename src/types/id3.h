// ID3v2 tags, which are found before MP3, AAC and even FLAC.
#pragma once

#include <cstdint>

#include "types/byte_view.h"

namespace image_engine {

// The size of the tag that begins at `at` (ID3v2.4, 3.1), header and footer included, by its header alone: it may end
// behind the file. 0 where none begins.
inline std::uint64_t id3v2_size(ByteView file, std::uint64_t at = 0) {
  constexpr std::uint64_t kHeader = 10;
  constexpr std::uint8_t kHasFooter = 0x10;
  const std::uint8_t version = file.u8(at + 3), flags = file.u8(at + 5);
  if (!file.has(at, kHeader) || !file.starts_with("ID3", at) || version < 2 || version > 4 || file.u8(at + 4) == 0xFF)
    return 0;
  std::uint64_t size = 0;
  for (std::uint64_t i = 6; i < kHeader; ++i) {
    if (file.u8(at + i) > 0x7F) return 0;
    size = size << 7 | file.u8(at + i);
  }
  return kHeader + size + ((flags & kHasFooter) != 0 && version == 4 ? kHeader : 0);
}

}  // namespace image_engine
