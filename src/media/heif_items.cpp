#include "media/heif_items.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "media/iso_boxes.h"
#include "types/byte_view.h"

namespace image_engine::media {
namespace {

std::optional<Box> find(ByteView view, std::uint64_t begin, std::uint64_t end, std::string_view type) {
  Boxes boxes(view, begin, end);
  while (const auto box = boxes.next())
    if (box->type == type) return box;
  return std::nullopt;
}

constexpr std::uint64_t kFullBox = 4;  // version and flags

// Reads fields one after the other.
class Cursor {
 public:
  Cursor(ByteView view, const Box& box) : view_(view), at_(box.begin + kFullBox), end_(box.end) {}
  // A big-endian number of 0, 2, 4 or 8 bytes.
  std::uint64_t number(unsigned bytes) {
    const auto at = at_;
    at_ += bytes;
    return bytes == 2 ? view_.u16(at) : bytes == 4 ? view_.u32(at) : bytes == 8 ? view_.u64(at) : 0;
  }
  void skip(std::uint64_t bytes) { at_ += bytes; }
  [[nodiscard]] bool done() const { return at_ >= end_; }
  [[nodiscard]] std::uint64_t at() const { return at_; }

 private:
  ByteView view_;
  std::uint64_t at_, end_;
};

struct Wanted {
  std::optional<std::uint64_t> exif, xmp;  // item numbers
};

// 8.11.6: entries are boxes infe of version 2 or 3.
Wanted find_numbers(ByteView view, const Box& iinf) {
  Wanted wanted;
  const auto count_bytes = view.u8(iinf.begin) == 0 ? 2U : 4U;
  Boxes entries(view, iinf.begin + kFullBox + count_bytes, iinf.end);
  while (const auto entry = entries.next()) {
    Cursor cursor(view, *entry);
    const auto number = cursor.number(view.u8(entry->begin) >= 3 ? 4 : 2);
    cursor.number(2);  // protection
    const auto rest = view.text(cursor.at(), entry->end - std::min(cursor.at(), entry->end));
    if (rest.starts_with("Exif")) wanted.exif = number;
    if (rest.starts_with("mime") && rest.find("application/rdf+xml") != rest.npos) wanted.xmp = number;
  }
  return wanted;
}

// 8.11.3: the location of an item's only extent.
Bytes locate(ByteView view, const Box& iloc, const std::optional<Box>& idat, std::uint64_t wanted) {
  const auto version = view.u8(iloc.begin);
  Cursor cursor(view, iloc);
  const auto sizes = static_cast<unsigned>(cursor.number(2));
  const unsigned offset_bytes = sizes >> 12, length_bytes = sizes >> 8 & 15, base_bytes = sizes >> 4 & 15;
  const unsigned index_bytes = version > 0 ? sizes & 15 : 0;
  const auto count = cursor.number(version < 2 ? 2 : 4);
  for (std::uint64_t i = 0; i < count && !cursor.done(); ++i) {
    const auto number = cursor.number(version < 2 ? 2 : 4);
    const auto method = version > 0 ? cursor.number(2) & 15 : 0;
    cursor.number(2);  // data reference
    const auto base = cursor.number(base_bytes);
    const auto extents = cursor.number(2);
    std::uint64_t offset = 0, length = 0;
    const bool empty = index_bytes + offset_bytes + length_bytes == 0;
    for (std::uint64_t k = 0; k < extents && !empty && !cursor.done(); ++k) {
      cursor.number(index_bytes);
      offset = cursor.number(offset_bytes);
      length = cursor.number(length_bytes);
    }
    if (number != wanted) continue;
    if (extents != 1 || method > 1 || (method == 1 && !idat)) return {};
    const auto begin = (method == 1 ? idat->begin : 0) + base + offset;
    return view.has(begin, length) ? view.sub(begin, length) : Bytes{};
  }
  return {};
}

// 8.11.12, reference type dimg: the inputs of each derived item.
std::map<std::uint64_t, std::vector<std::uint64_t>> find_parts(ByteView view, const Box& iref) {
  const unsigned number_bytes = view.u8(iref.begin) == 0 ? 2 : 4;
  std::map<std::uint64_t, std::vector<std::uint64_t>> parts;
  Boxes references(view, iref.begin + kFullBox, iref.end);
  while (const auto reference = references.next()) {
    if (reference->type != "dimg") continue;
    // These boxes have no version: the cursor, which skips one, begins that much earlier.
    Cursor cursor(view, {reference->type, reference->begin - kFullBox, reference->end});
    auto& of = parts[cursor.number(number_bytes)];
    for (auto count = cursor.number(2); count > 0 && !cursor.done(); --count) of.push_back(cursor.number(number_bytes));
  }
  return parts;
}

}  // namespace

bool heif_contains_itself(Bytes file) {
  const ByteView view(file);
  const auto meta = find(view, 0, view.size(), "meta");
  const auto iref = meta ? find(view, meta->begin + kFullBox, meta->end, "iref") : std::nullopt;
  if (!iref) return false;
  auto parts = find_parts(view, *iref);
  constexpr int kMaxDepth = 64;  // no real picture nests grids deeper than this
  for (int depth = 0; depth < kMaxDepth && !parts.empty(); ++depth) {
    // An item whose inputs are all underived or already removed cannot be on a cycle.
    const auto settled = [&](const auto& item) {
      return std::none_of(item.second.begin(), item.second.end(), [&](auto number) { return parts.contains(number); });
    };
    if (std::erase_if(parts, settled) == 0) break;
  }
  return !parts.empty();
}

namespace {

// ISO/IEC 23008-12, 9.3.2: the numbers of the properties of an item, which count from 1 within ipco.
std::vector<std::size_t> properties_of(ByteView view, const Box& ipma, std::uint64_t item) {
  const bool wide = (view.u8(ipma.begin + 3) & 1) != 0;
  const unsigned number_bytes = view.u8(ipma.begin) == 0 ? 2 : 4;
  Cursor cursor(view, ipma);
  for (auto entries = cursor.number(4); entries > 0 && !cursor.done(); --entries) {
    const auto number = cursor.number(number_bytes);
    const std::uint64_t at = cursor.at() + 1;
    const std::size_t count = view.u8(cursor.at()), bytes = wide ? 2 : 1;
    if (number == item) {
      std::vector<std::size_t> properties;
      for (std::size_t i = 0; i < count; ++i)  // without the bit that says whether it is essential
        properties.push_back(wide ? view.u16(at + 2 * i) & 0x7FFF : view.u8(at + i) & 0x7F);
      return properties;
    }
    cursor.skip(1 + count * bytes);
  }
  return {};
}

}  // namespace

std::optional<ColourCode> heif_colour_code(Bytes file) {
  const ByteView view(file);
  const auto meta = find(view, 0, view.size(), "meta");
  if (!meta) return std::nullopt;
  const auto pitm = find(view, meta->begin + kFullBox, meta->end, "pitm");
  const auto iprp = find(view, meta->begin + kFullBox, meta->end, "iprp");
  if (!pitm || !iprp) return std::nullopt;
  const auto ipco = find(view, iprp->begin, iprp->end, "ipco"), ipma = find(view, iprp->begin, iprp->end, "ipma");
  if (!ipco || !ipma) return std::nullopt;
  const auto primary = Cursor(view, *pitm).number(view.u8(pitm->begin) == 0 ? 2 : 4);
  const std::vector<std::size_t> wanted = properties_of(view, *ipma, primary);
  Boxes properties(view, ipco->begin, ipco->end);
  for (std::size_t i = 1; const auto property = properties.next(); ++i)
    if (property->type == "colr" && view.text(property->begin, 4) == "nclx" &&
        std::ranges::find(wanted, i) != wanted.end())
      return ColourCode{view.u16(property->begin + 4), view.u16(property->begin + 6)};
  return std::nullopt;
}

HeifItems find_heif_items(Bytes file) {
  const ByteView view(file);
  const auto meta = find(view, 0, view.size(), "meta");
  if (!meta) return {};
  const auto inside = meta->begin + kFullBox;
  const auto iinf = find(view, inside, meta->end, "iinf"), iloc = find(view, inside, meta->end, "iloc");
  if (!iinf || !iloc) return {};
  const auto idat = find(view, inside, meta->end, "idat");
  const auto wanted = find_numbers(view, *iinf);
  HeifItems items;
  if (wanted.xmp) items.xmp = locate(view, *iloc, idat, *wanted.xmp);
  if (wanted.exif) {
    // ISO/IEC 23008-12, A.2.1: a four-byte offset from its end to the TIFF.
    const ByteView block(locate(view, *iloc, idat, *wanted.exif));
    items.exif = block.sub(std::uint64_t{4} + block.u32(0));
  }
  return items;
}

}  // namespace image_engine::media
