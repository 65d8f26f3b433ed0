#include "media/tiff_structure.h"

#include <algorithm>
#include <string_view>

#include "types/byte_view.h"

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;

// One directory of either layout.
class Page {
 public:
  Page(ByteView view, bool is_big, std::uint64_t at) : view_(view), is_big_(is_big), at_(at) {}

  // 0 without the tag.
  [[nodiscard]] std::uint32_t number(std::uint16_t tag) const {
    for (std::uint64_t i = 0; i < count(); ++i) {
      const std::uint64_t entry = first() + i * entry_bytes();
      if (!view_.has(entry, entry_bytes())) break;
      if (view_.u16(entry) != tag) continue;
      const std::uint64_t value = entry + (is_big_ ? 12 : 8);
      return view_.u16(entry + 2) == 3 ? view_.u16(value) : view_.u32(value);
    }
    return 0;
  }
  // The offset of the following directory; 0: none.
  [[nodiscard]] std::uint64_t next() const {
    const std::uint64_t at = first() + count() * entry_bytes();
    return is_big_ ? view_.u64(at) : view_.u32(at);
  }

 private:
  [[nodiscard]] std::uint64_t count() const {
    constexpr std::uint64_t kMostEntries = 4096;
    return std::min<std::uint64_t>(is_big_ ? view_.u64(at_) : view_.u16(at_), kMostEntries);
  }
  [[nodiscard]] std::uint64_t first() const { return at_ + (is_big_ ? 8 : 2); }
  [[nodiscard]] std::uint64_t entry_bytes() const { return is_big_ ? 20 : 12; }

  ByteView view_;
  bool is_big_;
  std::uint64_t at_;
};

bool is_to_be_shown(const Page& page) {
  constexpr std::uint16_t kNewSubfileType = 254, kSubfileType = 255;
  constexpr std::uint32_t kReducedBit = 1, kMaskBit = 4, kReduced = 2;
  return (page.number(kNewSubfileType) & (kReducedBit | kMaskBit)) == 0 && page.number(kSubfileType) != kReduced;
}

}  // namespace

int shown_page(Bytes tiff) {
  constexpr int kMostPages = 64;
  const ByteView any(tiff);
  const ByteView view = any.with_order(any.starts_with("II"sv) ? ByteOrder::kLittle : ByteOrder::kBig);
  const bool is_big = view.u16(2) == 43;
  std::uint64_t at = is_big ? view.u64(8) : view.u32(4);
  for (int page = 0; page < kMostPages && at != 0 && view.has(at, 8); ++page) {
    const Page one(view, is_big, at);
    if (is_to_be_shown(one)) return page;
    at = one.next();
  }
  return 0;
}

Bytes old_style_jpeg(Bytes tiff) {
  constexpr std::uint16_t kCompression = 259, kStart = 513, kLength = 514;
  constexpr std::uint32_t kOldJpeg = 6;
  const ByteView view(tiff);
  if (!view.starts_with("II*\0"sv) && !view.starts_with("MM\0*"sv)) return {};
  const TiffDirectory directory(tiff);
  if (directory.number(kCompression) != kOldJpeg) return {};
  const Bytes jpeg = view.sub(directory.number(kStart), directory.number(kLength));
  return ByteView(jpeg).starts_with("\xff\xd8\xff"sv) ? jpeg : Bytes{};
}

}  // namespace image_engine::media
