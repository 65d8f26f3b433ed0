#include "vision/masks.h"

#include <algorithm>
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
