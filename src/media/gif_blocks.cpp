#include "media/gif_blocks.h"

#include <string_view>

#include "types/byte_view.h"

namespace image_engine::media {
namespace {

enum GifBlock : std::uint8_t { kExtension = 0x21, kPicture = 0x2C };
constexpr std::uint8_t kApplication = 0xFF;

// The bytes of a colour table by the byte of flags that announces it.
std::uint64_t colour_table(std::uint8_t flags) {
  return (flags & 0x80) != 0 ? std::uint64_t{3} << ((flags & 7) + 1) : 0;
}

// The offset behind the sub-blocks that begin at `at`.
std::uint64_t behind_sub_blocks(ByteView view, std::uint64_t at) {
  while (view.u8(at) != 0) at += std::uint64_t{1} + view.u8(at);
  return at + 1;
}

// The packet is not cut into sub-blocks: bytes behind it that count down lead every reader of sub-blocks to the end.
Bytes xmp_packet_in(ByteView view, std::uint64_t begin, std::uint64_t end) {
  const std::string_view text = view.text(begin, end - begin);
  return view.sub(begin, std::min(text.find("\x01\xff"), text.size()));
}

}  // namespace

std::vector<Bytes> gif_xmp_packets(Bytes file) {
  constexpr std::string_view kXmp = "\x0BXMP DataXMP";
  constexpr std::uint64_t kHeader = 13, kFlags = 10, kPictureHeader = 10, kPictureFlags = 9;
  const ByteView view(file);
  std::vector<Bytes> packets;
  for (std::uint64_t at = kHeader + colour_table(view.u8(kFlags)); at < view.size();) {
    if (view.u8(at) == kPicture) {
      at = behind_sub_blocks(view, at + kPictureHeader + colour_table(view.u8(at + kPictureFlags)) + 1);
    } else if (view.u8(at) == kExtension) {
      const std::uint64_t end = behind_sub_blocks(view, at + 2);
      if (view.u8(at + 1) == kApplication && view.starts_with(kXmp, at + 2))
        packets.push_back(xmp_packet_in(view, at + 2 + kXmp.size(), end));
      at = end;
    } else {
      break;
    }
  }
  return packets;
}

}  // namespace image_engine::media
