#include "media/big_tiff.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "types/byte_view.h"

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;

enum BigTag : std::uint16_t {
  kXmpTag = 700,
  kIptcTag = 33723,
  kResourcesTag = 34377,
  kExifTag = 34665,
  kGpsTag = 34853
};
enum BigType : std::uint16_t { kLong = 4, kSignedLong = 9, kLong8 = 16, kSignedLong8 = 17, kOffset8 = 18 };

// By type; 0: there is none.
constexpr std::array<std::uint8_t, 19> kTypeBytes{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
constexpr std::uint64_t kMostValue = std::uint64_t{64} << 10, kMostTags = 4096, kMostBytes = std::uint64_t{4} << 20;

struct BigEntry {
  std::uint16_t tag = 0, type = 0;
  std::uint64_t count = 0, at = 0, bytes = 0;  // of the value
};

std::vector<BigEntry> directory_at(ByteView view, std::uint64_t at) {
  constexpr std::uint64_t kCount = 8, kEntry = 20, kValue = 12, kInside = 8;
  std::vector<BigEntry> entries;
  const std::uint64_t count = std::min(view.u64(at), kMostTags);
  for (std::uint64_t i = 0; i < count && view.has(at + kCount + i * kEntry, kEntry); ++i) {
    const std::uint64_t from = at + kCount + i * kEntry;
    BigEntry entry{view.u16(from), view.u16(from + 2), view.u64(from + 4), from + kValue, 0};
    if (entry.type >= kTypeBytes.size() || entry.count > view.size()) continue;
    entry.bytes = entry.count * kTypeBytes[entry.type];
    if (entry.bytes > kInside) entry.at = view.u64(from + kValue);
    if (entry.bytes != 0 && view.has(entry.at, entry.bytes)) entries.push_back(entry);
  }
  return entries;
}

// Bytes that are written in one of both orders.
class OrderedBytes {
 public:
  explicit OrderedBytes(bool is_little) : is_little_(is_little) {}
  void append(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void put(std::uint64_t number, unsigned bytes) {
    bytes_.resize(bytes_.size() + bytes);
    set(bytes_.size() - bytes, number, bytes);
  }
  void set(std::size_t at, std::uint64_t number, unsigned bytes) {
    for (unsigned i = 0; i < bytes; ++i)
      bytes_[at + i] = static_cast<std::byte>(number >> 8 * (is_little_ ? i : bytes - 1 - i) & 0xFF);
  }
  void overwrite(std::size_t at, const OrderedBytes& by) {
    std::ranges::copy(by.bytes_, bytes_.begin() + std::ptrdiff_t(at));
  }
  void make_even() { bytes_.resize((bytes_.size() + 1) & ~std::size_t{1}); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  bool is_little_;
  std::vector<std::byte> bytes_;
};

std::uint16_t classic_type(std::uint16_t type) {
  if (type == kLong8 || type == kOffset8) return kLong;
  return type == kSignedLong8 ? std::uint16_t{kSignedLong} : type;
}

class ClassicTiff {
 public:
  explicit ClassicTiff(ByteView big) : big_(big), is_little_(big.starts_with("II"sv)), out_(is_little_) {}

  std::vector<std::byte> take(std::uint64_t first_directory) {
    constexpr std::size_t kFirst = 4;
    out_.append(big_.sub(0, 2));
    out_.put(42, 2);
    out_.put(0, 4);
    out_.set(kFirst, add_directory(first_directory, true), 4);
    return std::move(out_.bytes());
  }

 private:
  // Its offset. Only the first directory has others below it.
  std::size_t add_directory(std::uint64_t at, bool is_first) {
    constexpr std::size_t kClassicEntry = 12;
    std::vector<BigEntry> entries = directory_at(big_, at);
    std::erase_if(entries, [&](const BigEntry& entry) {
      return entry.tag == kXmpTag || entry.tag == kIptcTag || entry.tag == kResourcesTag || entry.bytes > kMostValue ||
             (is_pointer(entry) && !is_first);
    });
    out_.make_even();
    const std::size_t begin = out_.size();
    out_.put(entries.size(), 2);
    out_.bytes().resize(out_.size() + entries.size() * kClassicEntry + 4);
    for (std::size_t i = 0; i < entries.size(); ++i) write_entry(begin + 2 + i * kClassicEntry, entries[i]);
    return begin;
  }

  void write_entry(std::size_t at, const BigEntry& entry) {
    constexpr std::size_t kCount = 4, kValue = 8, kInside = 4;
    out_.set(at, entry.tag, 2);
    out_.set(at + 2, classic_type(entry.type), 2);
    out_.set(at + kCount, entry.count, 4);
    if (is_pointer(entry))
      return out_.set(at + kValue, add_directory(entry.bytes == 8 ? big_.u64(entry.at) : big_.u32(entry.at), false), 4);
    const OrderedBytes value = value_of(entry);
    if (value.size() <= kInside) return out_.overwrite(at + kValue, value);
    if (out_.size() + value.size() > kMostBytes) return out_.set(at + kCount, 0, 4);
    out_.make_even();
    out_.set(at + kValue, out_.size(), 4);
    out_.bytes().resize(out_.size() + value.size());
    out_.overwrite(out_.size() - value.size(), value);
  }

  [[nodiscard]] OrderedBytes value_of(const BigEntry& entry) const {
    OrderedBytes value(is_little_);
    if (entry.type < kLong8) value.append(big_.sub(entry.at, entry.bytes));
    for (std::uint64_t i = 0; entry.type >= kLong8 && i < entry.count; ++i) value.put(big_.u64(entry.at + i * 8), 4);
    return value;
  }

  static bool is_pointer(const BigEntry& entry) {
    return (entry.tag == kExifTag || entry.tag == kGpsTag) && entry.count == 1 && entry.bytes >= 4;
  }

  ByteView big_;
  bool is_little_;
  OrderedBytes out_;
};

ByteView big_view(Bytes file) {
  const ByteView view(file);
  return view.with_order(view.starts_with("II"sv) ? ByteOrder::kLittle : ByteOrder::kBig);
}

}  // namespace

bool is_big_tiff(Bytes file) {
  const ByteView view(file);
  return view.starts_with("II+\0"sv) || view.starts_with("MM\0+"sv);
}

TagBlocks big_tiff_blocks(Bytes file) {
  const ByteView view = big_view(file);
  const std::uint64_t first = view.u64(8);
  TagBlocks blocks;
  for (const BigEntry& entry : directory_at(view, first)) {
    const Bytes value = view.sub(entry.at, entry.bytes);
    if (entry.tag == kXmpTag) blocks.xmp.push_back(value);
    if (entry.tag == kIptcTag) blocks.iptc.push_back(value);
    if (entry.tag == kResourcesTag) blocks.photoshop.push_back(value);
  }
  blocks.exif.emplace_back(blocks.storage.emplace_back(ClassicTiff(view).take(first)));
  return blocks;
}

}  // namespace image_engine::media
