#include "vision/masks.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>

namespace image_engine::vision {
namespace {

// The pixels of the part that holds `first`, which are marked as seen.
std::vector<std::uint32_t> take_part(const Mask& mask, std::uint32_t first, std::vector<std::uint8_t>& seen) {
  std::vector<std::uint32_t> part{first};
  seen[first] = 1;
  for (size_t next = 0; next < part.size(); ++next) {
    const std::uint32_t x = part[next] % mask.width, y = part[next] / mask.width;
    for (std::uint32_t row = y - std::min(y, 1U); row <= std::min(y + 1, mask.height - 1); ++row)
      for (std::uint32_t column = x - std::min(x, 1U); column <= std::min(x + 1, mask.width - 1); ++column) {
        const std::uint32_t at = row * mask.width + column;
        if (mask.pixels[at] == 0 || seen[at] != 0) continue;
        seen[at] = 1;
        part.push_back(at);
      }
  }
  return part;
}

MaskPart part_of(const std::vector<std::uint32_t>& pixels, std::uint32_t width) {
  std::uint32_t left = width, right = 0;
  for (const std::uint32_t at : pixels) {
    left = std::min(left, at % width);
    right = std::max(right, at % width);
  }
  const auto [first, last] = std::ranges::minmax(pixels);
  const std::uint32_t top = first / width;
  MaskPart part{.left = left,
                .top = top,
                .mask = {.width = right - left + 1, .height = last / width - top + 1, .pixels = {}},
                .area = pixels.size()};
  part.mask.pixels.resize(size_t{part.mask.width} * part.mask.height);
  for (const std::uint32_t at : pixels)
    part.mask.pixels[size_t{at / width - top} * part.mask.width + (at % width - left)] = 255;
  return part;
}

// One number of a text of counts, removed from it; nullopt where it does not end, or is too large.
std::optional<std::int64_t> take_number(std::string_view& counts) {
  std::int64_t number = 0;
  for (int shift = 0; shift < 40 && !counts.empty(); shift += 5) {
    const int code = counts.front() - '0';
    counts.remove_prefix(1);
    if (code < 0 || code > 0x3f) return std::nullopt;
    number |= std::int64_t{code & 0x1f} << shift;
    if ((code & 0x20) != 0) continue;
    return (code & 0x10) != 0 ? number - (std::int64_t{1} << (shift + 5)) : number;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::uint32_t> run_lengths(const Mask& mask) {
  std::vector<std::uint32_t> lengths;
  if (mask.pixels.empty()) return lengths;
  lengths.push_back(0);
  bool inside = false;
  for (std::uint32_t x = 0; x < mask.width; ++x)
    for (std::uint32_t y = 0; y < mask.height; ++y) {
      if ((mask.pixels[size_t{y} * mask.width + x] != 0) != inside) {
        inside = !inside;
        lengths.push_back(0);
      }
      ++lengths.back();
    }
  return lengths;
}

std::string coco_counts(const std::vector<std::uint32_t>& lengths) {
  std::string text;
  for (size_t i = 0; i < lengths.size(); ++i) {
    std::int64_t rest = std::int64_t{lengths[i]} - (i > 2 ? std::int64_t{lengths[i - 2]} : 0);
    for (bool more = true; more;) {
      const std::int64_t group = rest & 0x1f;
      rest >>= 5;
      more = rest != ((group & 0x10) != 0 ? -1 : 0);  // the rest is more than this group's sign
      text += static_cast<char>('0' + (group | (more ? 0x20 : 0)));
    }
  }
  return text;
}

std::optional<Mask> mask_of_counts(std::uint32_t width, std::uint32_t height, std::string_view counts) {
  const std::uint64_t pixels = std::uint64_t{width} * height;
  if (pixels == 0 || pixels > kMostMaskPixels) return std::nullopt;
  Mask mask{width, height, std::vector<std::uint8_t>(pixels)};
  std::uint64_t at = 0;                // column by column
  std::array<std::int64_t, 2> last{};  // the lengths two runs before and one run before
  for (std::size_t run = 0; !counts.empty(); ++run) {
    std::optional<std::int64_t> length = take_number(counts);
    if (!length) return std::nullopt;
    if (run > 2) *length += last[0];
    if (*length < 0 || static_cast<std::uint64_t>(*length) > pixels - at) return std::nullopt;
    const std::uint64_t end = at + static_cast<std::uint64_t>(*length);
    if (run % 2 == 1)
      for (std::uint64_t i = at; i < end; ++i) mask.pixels[i % height * width + i / height] = 255;
    at = end;
    last = {last[1], *length};
  }
  if (at != pixels) return std::nullopt;
  return mask;
}

Mask reduced(const Mask& mask, std::uint32_t width, std::uint32_t height) {
  Mask small{width, height, std::vector<std::uint8_t>(std::size_t{width} * height)};
  const auto edge = [](std::uint32_t at, std::uint32_t to, std::uint32_t from) {
    return static_cast<std::uint32_t>(std::uint64_t{at} * from / to);
  };
  for (std::uint32_t y = 0; y < height; ++y)
    for (std::uint32_t x = 0; x < width; ++x) {
      const std::uint32_t left = edge(x, width, mask.width), right = edge(x + 1, width, mask.width);
      const std::uint32_t top = edge(y, height, mask.height), bottom = edge(y + 1, height, mask.height);
      std::uint64_t inside = 0;
      for (std::uint32_t row = top; row < bottom; ++row)
        for (std::uint32_t column = left; column < right; ++column)
          inside += mask.pixels[std::size_t{row} * mask.width + column] != 0 ? 1U : 0U;
      const std::uint64_t area = std::uint64_t{right - left} * (bottom - top);
      small.pixels[std::size_t{y} * width + x] = 2 * inside >= area ? 255 : 0;
    }
  return small;
}

std::vector<MaskPart> connected_parts(const Mask& mask, std::uint64_t least_area) {
  std::vector<MaskPart> parts;
  std::vector<std::uint8_t> seen(mask.pixels.size());
  for (std::uint32_t at = 0; at < mask.pixels.size(); ++at) {
    if (mask.pixels[at] == 0 || seen[at] != 0) continue;
    const auto pixels = take_part(mask, at, seen);
    if (pixels.size() >= least_area) parts.push_back(part_of(pixels, mask.width));
  }
  std::ranges::stable_sort(parts, std::ranges::greater{}, &MaskPart::area);
  return parts;
}

}  // namespace image_engine::vision
