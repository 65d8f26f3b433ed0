// Boxes of ISO base media files (ISO/IEC 14496-12, 4.2), as HEIF, AVIF and JPEG XL have them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "types/byte_view.h"

namespace image_engine::media {

// The body of a box within the whole file.
struct Box {
  std::string_view type;
  std::uint64_t begin = 0, end = 0;
};

// Consecutive boxes in [begin, end); ends at the first one that is not whole.
class Boxes {
 public:
  Boxes(ByteView view, std::uint64_t begin, std::uint64_t end) : view_(view), at_(begin), end_(end) {}
  std::optional<Box> next() {
    if (at_ + 8 > end_ || !view_.has(at_, 8)) return std::nullopt;
    std::uint64_t size = view_.u32(at_), header = 8;
    if (size == 1) size = view_.u64(at_ + 8), header = 16;
    if (size == 0) size = end_ - at_;
    if (size < header || size > end_ - at_) return std::nullopt;
    const Box box{view_.text(at_ + 4, 4), at_ + header, at_ + size};
    at_ += size;
    return box;
  }

 private:
  ByteView view_;
  std::uint64_t at_, end_;
};

}  // namespace image_engine::media
