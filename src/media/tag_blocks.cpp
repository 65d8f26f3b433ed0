#include "media/tag_blocks.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "media/big_tiff.h"
#include "media/gif_blocks.h"
#include "media/heif_items.h"
#include "media/jpeg_segments.h"
#include "media/jxl_boxes.h"
#include "types/byte_view.h"

namespace image_engine::media {
namespace {

TagBlocks jpeg_blocks(Bytes file) { return read_jpeg_segments(file).tags; }

TagBlocks heif_blocks(Bytes file) {
  const HeifItems items = find_heif_items(file);
  TagBlocks blocks;
  blocks.exif = {items.exif};
  blocks.xmp = {items.xmp};
  return blocks;
}

TagBlocks gif_blocks(Bytes file) {
  TagBlocks blocks;
  blocks.xmp = gif_xmp_packets(file);
  return blocks;
}

TagBlocks whole_file(Bytes) {
  TagBlocks blocks;
  blocks.whole_file = true;
  return blocks;
}

TagBlocks tiff_blocks(Bytes file) { return is_big_tiff(file) ? big_tiff_blocks(file) : whole_file(file); }

struct FormatBlocks {
  MediaFormat format;
  TagBlocks (*find)(Bytes file);
};
// exiv2 opens all others: it finds tags behind a PNG's pixels, and a raw file is a TIFF or like one.
constexpr FormatBlocks kFormatBlocks[] = {
    {MediaFormat::kJpeg, jpeg_blocks}, {MediaFormat::kHeif, heif_blocks}, {MediaFormat::kAvif, heif_blocks},
    {MediaFormat::kJxl, jxl_blocks},   {MediaFormat::kGif, gif_blocks},   {MediaFormat::kTiff, tiff_blocks},
};

constexpr std::array<std::string_view, 5> kResourceSignatures{"8BIM", "PHUT", "AgHg", "DCSR", "MeSa"};

// The offset of the next resource at or after `from`; the size of the view without one.
std::uint64_t next_resource(ByteView view, std::uint64_t from) {
  const auto begins = [&](std::uint64_t at) {
    return std::ranges::any_of(kResourceSignatures, [&](std::string_view s) { return view.starts_with(s, at); });
  };
  while (from < view.size() && !begins(from)) ++from;
  return std::min(from, view.size());
}

}  // namespace

TagBlocks find_tag_blocks(MediaFormat format, Bytes file) {
  const auto* found = std::ranges::find(kFormatBlocks, format, &FormatBlocks::format);
  return found == std::end(kFormatBlocks) ? whole_file(file) : found->find(file);
}

std::vector<Bytes> iptc_resources(Bytes photoshop) {
  constexpr std::uint16_t kIptcNaa = 0x0404;
  constexpr std::uint64_t kSignature = 4;
  const ByteView view(photoshop);
  std::vector<Bytes> found;
  for (std::uint64_t at = next_resource(view, 0); at < view.size();) {
    const auto name = (std::uint64_t{view.u8(at + 6)} + 2) & ~std::uint64_t{1};  // Pascal string, padded to even
    const std::uint64_t size = view.u32(at + 6 + name);
    const auto data = at + 6 + name + 4;
    if (view.u16(at + kSignature) == kIptcNaa && view.starts_with("\x1c", data)) found.push_back(view.sub(data, size));
    // Some writers leave out the byte that makes the size even.
    at = next_resource(view, view.has(data, size) ? data + size : at + kSignature);
  }
  return found;
}

}  // namespace image_engine::media
