// A mask of any shape: its run lengths, their text, its connected parts and its outlines say the same of it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "vision/masks.h"
#include "vision/outlines.h"

using namespace image_engine;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

// The lengths of COCO's text, by the format's definition.
std::vector<std::uint32_t> lengths_of(const std::string& counts) {
  std::vector<std::uint32_t> lengths;
  std::int64_t value = 0;
  int shift = 0;
  for (const char character : counts) {
    const int code = character - 48;
    value |= static_cast<std::int64_t>(code & 0x1f) << shift;
    shift += 5;
    if ((code & 0x20) != 0) continue;
    if ((code & 0x10) != 0) value -= std::int64_t{1} << shift;
    if (lengths.size() > 2) value += lengths[lengths.size() - 2];
    check(value >= 0);
    lengths.push_back(static_cast<std::uint32_t>(value));
    value = 0, shift = 0;
  }
  return lengths;
}

void check_outlines(const vision::Mask& mask, std::size_t parts, double tolerance) {
  const std::vector<vision::Polygon> polygons = vision::outlines(mask, tolerance);
  check(polygons.size() <= parts && (tolerance > 0 || polygons.size() == parts));
  for (const vision::Polygon& polygon : polygons) {
    check(polygon.size() >= 6 && polygon.size() % 2 == 0);
    for (std::size_t i = 0; i < polygon.size(); ++i)
      check(polygon[i] >= 0 && polygon[i] <= (i % 2 == 0 ? mask.width : mask.height));
  }
}

}  // namespace

// The width, the tolerance of outlines in quarters of a pixel, eight pixels a byte.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const std::uint32_t width = data[0] + 1U;
  const auto height = static_cast<std::uint32_t>(std::min<std::size_t>((size - 2) * 8 / width, 256));
  vision::Mask mask{width, height, std::vector<std::uint8_t>(std::size_t{width} * height)};
  for (std::size_t i = 0; i < mask.pixels.size(); ++i)
    mask.pixels[i] = (data[2 + i / 8] >> (i % 8) & 1) != 0 ? data[2 + i / 8] : 0;
  const auto inside = static_cast<std::uint64_t>(std::ranges::count_if(mask.pixels, [](auto p) { return p != 0; }));

  const std::vector<std::uint32_t> lengths = vision::run_lengths(mask);
  check(std::accumulate(lengths.begin(), lengths.end(), std::uint64_t{0}) == mask.pixels.size());
  std::uint64_t odd = 0;
  for (std::size_t i = 1; i < lengths.size(); i += 2) odd += lengths[i];
  check(odd == inside && lengths_of(vision::coco_counts(lengths)) == lengths);

  const std::vector<vision::MaskPart> parts = vision::connected_parts(mask, 1);
  std::uint64_t area = 0;
  for (const vision::MaskPart& part : parts) {
    check(part.left + part.mask.width <= width && part.top + part.mask.height <= height);
    area += part.area;
  }
  check(area == inside);
  check_outlines(mask, parts.size(), data[1] / 4.0);
  return 0;
}
