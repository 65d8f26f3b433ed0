// Reads outside bytes with checked offsets: a read beyond the end returns zeros, never undefined behaviour.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace image_engine {

enum class ByteOrder : std::uint8_t { kLittle, kBig };

// Offsets are 64-bit so that sums of two file fields cannot wrap.
class ByteView {
 public:
  ByteView() = default;
  explicit ByteView(std::span<const std::byte> bytes, ByteOrder order = ByteOrder::kBig)
      : bytes_(bytes), order_(order) {}

  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  [[nodiscard]] bool has(std::uint64_t offset, std::uint64_t count) const {
    return offset <= bytes_.size() && count <= bytes_.size() - offset;
  }
  [[nodiscard]] std::uint8_t u8(std::uint64_t offset) const {
    return offset < bytes_.size() ? static_cast<std::uint8_t>(bytes_[offset]) : std::uint8_t{0};
  }
  [[nodiscard]] std::uint16_t u16(std::uint64_t offset) const {
    return static_cast<std::uint16_t>(order_ == ByteOrder::kBig ? u8(offset) << 8 | u8(offset + 1)
                                                                : u8(offset + 1) << 8 | u8(offset));
  }
  [[nodiscard]] std::uint32_t u32(std::uint64_t offset) const {
    const std::uint32_t first = u16(offset), second = u16(offset + 2);
    return order_ == ByteOrder::kBig ? first << 16 | second : second << 16 | first;
  }
  [[nodiscard]] std::uint64_t u64(std::uint64_t offset) const {
    const std::uint64_t first = u32(offset), second = u32(offset + 4);
    return order_ == ByteOrder::kBig ? first << 32 | second : second << 32 | first;
  }
  [[nodiscard]] bool starts_with(std::string_view text, std::uint64_t offset = 0) const {
    return has(offset, text.size()) && this->text(offset, text.size()) == text;
  }
  // The bytes from `offset`, at most `count` and at most to the end.
  [[nodiscard]] std::span<const std::byte> sub(std::uint64_t offset, std::uint64_t count = ~std::uint64_t{0}) const {
    if (offset >= bytes_.size()) return {};
    return bytes_.subspan(offset, std::min<std::uint64_t>(count, bytes_.size() - offset));
  }
  [[nodiscard]] std::string_view text(std::uint64_t offset, std::uint64_t count) const {
    const auto part = sub(offset, count);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  [[nodiscard]] ByteView with_order(ByteOrder order) const { return ByteView(bytes_, order); }

 private:
  std::span<const std::byte> bytes_;
  ByteOrder order_ = ByteOrder::kBig;
};

// IFD0 of a TIFF (TIFF 6.0, section 2), enough to find tags. Reads only what is requested.
class TiffDirectory {
 public:
  // `file` begins with the byte-order mark; the caller checks the magic number. BigTIFF is not supported.
  explicit TiffDirectory(std::span<const std::byte> file) : TiffDirectory(file, 0) { start_ = view_.u32(4); }
  // Another directory of the file, at this offset.
  TiffDirectory(std::span<const std::byte> file, std::uint64_t start)
      : view_(file, ByteView(file).starts_with("II") ? ByteOrder::kLittle : ByteOrder::kBig), start_(start) {}

  // The offset of the tag's 12-byte entry.
  [[nodiscard]] std::optional<std::uint64_t> find(std::uint16_t tag) const {
    const std::uint64_t count = view_.u16(start_);
    for (std::uint64_t i = 0; i < count && view_.has(start_ + 2 + i * 12, 12); ++i)
      if (view_.u16(start_ + 2 + i * 12) == tag) return start_ + 2 + i * 12;
    return std::nullopt;
  }
  // The first value of a BYTE, SHORT or LONG tag; 0 without it.
  [[nodiscard]] std::uint32_t number(std::uint16_t tag) const {
    const auto entry = find(tag);
    if (!entry) return 0;
    const auto type = view_.u16(*entry + 2);
    return type == 1 ? view_.u8(*entry + 8) : type == 3 ? view_.u16(*entry + 8) : view_.u32(*entry + 8);
  }
  // The i-th value of a LONG or IFD tag; 0 without it.
  [[nodiscard]] std::uint32_t long_at(std::uint16_t tag, std::uint32_t i) const {
    const auto entry = find(tag);
    if (!entry || i >= view_.u32(*entry + 4)) return 0;
    const bool is_inside = view_.u32(*entry + 4) == 1;
    return view_.u32(is_inside ? *entry + 8 : view_.u32(*entry + 8) + std::uint64_t{i} * 4);
  }
  // The bytes of an ASCII tag, with its NULs; empty if they are outside the view.
  [[nodiscard]] std::string_view ascii(std::uint16_t tag) const {
    const auto entry = find(tag);
    if (!entry || view_.u16(*entry + 2) != 2) return {};
    const std::uint64_t count = view_.u32(*entry + 4);
    return view_.text(count <= 4 ? *entry + 8 : view_.u32(*entry + 8), count);
  }

 private:
  ByteView view_;
  std::uint64_t start_ = 0;
};

}  // namespace image_engine
