#include "media/jpeg_tags.h"

#include <algorithm>
#include <string_view>

#include "core/text.h"
#include "types/byte_view.h"

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kExifHeader = "Exif\0\0"sv;
constexpr std::string_view kXmpHeader = "http://ns.adobe.com/xap/1.0/\0"sv;
constexpr std::string_view kExtensionHeader = "http://ns.adobe.com/xmp/extension/\0"sv;
constexpr std::string_view kPhotoshopHeader = "Photoshop 3.0\0"sv;
constexpr size_t kMostExtension = size_t{16} << 20;

bool begins_tiff(ByteView view) { return view.starts_with("II*\0"sv) || view.starts_with("MM\0*"sv); }

// The parts as one; a single one is not copied.
Bytes joined(const std::vector<Bytes>& parts, TagBlocks& blocks) {
  if (parts.size() == 1) return parts.front();
  std::vector<std::byte>& all = blocks.storage.emplace_back();
  for (const Bytes part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

bool names(Bytes packet, const std::string& digest) {
  return ascii_lower(ByteView(packet).text(0, packet.size())).find(ascii_lower(digest)) != std::string::npos;
}

}  // namespace

void JpegTags::add_app1(Bytes payload) {
  const ByteView view(payload);
  if (view.starts_with(kExifHeader)) {
    const Bytes part = view.sub(kExifHeader.size());
    if (exif_.empty() || begins_tiff(ByteView(part)))
      exif_.push_back({part});
    else
      exif_.back().push_back(part);
  } else if (view.starts_with(kXmpHeader)) {
    xmp_.push_back(view.sub(kXmpHeader.size()));
  } else if (view.starts_with(kExtensionHeader)) {
    add_extension(view.sub(kExtensionHeader.size()));
  }
}

void JpegTags::add_app13(Bytes payload) {
  const ByteView view(payload);
  if (view.starts_with(kPhotoshopHeader)) photoshop_.push_back(view.sub(kPhotoshopHeader.size()));
}

// 32 digits of the whole's MD5, its length, the part's offset, the part.
void JpegTags::add_extension(Bytes payload) {
  constexpr std::uint64_t kDigest = 32, kOffset = kDigest + 4, kPart = kOffset + 4;
  const ByteView view(payload);
  extensions_[std::string(view.text(0, kDigest))].emplace(view.u32(kOffset), view.sub(kPart));
}

TagBlocks JpegTags::join() const {
  TagBlocks blocks;
  for (const Parts& parts : exif_) blocks.exif.push_back(joined(parts, blocks));
  if (!photoshop_.empty()) blocks.photoshop.push_back(joined(photoshop_, blocks));
  blocks.xmp = xmp_;
  for (const auto& [digest, parts] : extensions_) {
    if (std::ranges::none_of(xmp_, [&](Bytes packet) { return names(packet, digest); })) continue;
    Parts in_order;
    size_t size = 0;
    for (const auto& [offset, part] : parts) {
      if (offset != size || size + part.size() > kMostExtension) break;
      in_order.push_back(part);
      size += part.size();
    }
    if (!in_order.empty()) blocks.xmp.push_back(joined(in_order, blocks));
  }
  return blocks;
}

}  // namespace image_engine::media
