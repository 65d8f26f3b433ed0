#include "vision/outlines.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <utility>

namespace image_engine::vision {
namespace {

struct Corner {
  std::int64_t x = 0, y = 0;
};

// East, south, west, north; the inside is on the right.
constexpr std::array<Corner, 4> kSteps = {Corner{1, 0}, Corner{0, 1}, Corner{-1, 0}, Corner{0, -1}};
// The pixels ahead of a corner, left and right of the way.
constexpr std::array<Corner, 4> kLeft = {Corner{0, -1}, Corner{0, 0}, Corner{-1, 0}, Corner{-1, -1}};
constexpr std::array<Corner, 4> kRight = {Corner{0, 0}, Corner{-1, 0}, Corner{-1, -1}, Corner{0, -1}};

class OutlineTracer {
 public:
  explicit OutlineTracer(const Mask& mask) : mask_(mask), seen_(mask.pixels.size()) {}

  // The corners of each loop around pixels inside: outer ones are clockwise, holes are not.
  std::vector<std::vector<Corner>> loops() {
    std::vector<std::vector<Corner>> all;
    for (std::int64_t y = 0; y < mask_.height; ++y)
      for (std::int64_t x = 0; x < mask_.width; ++x)
        if (inside(x, y) && !inside(x, y - 1) && !seen_[index(x, y)]) all.push_back(follow({x, y}));
    return all;
  }

 private:
  [[nodiscard]] std::size_t index(std::int64_t x, std::int64_t y) const {
    return static_cast<std::size_t>(y) * mask_.width + static_cast<std::size_t>(x);
  }
  [[nodiscard]] bool inside(std::int64_t x, std::int64_t y) const {
    return x >= 0 && y >= 0 && x < mask_.width && y < mask_.height && mask_.pixels[index(x, y)] != 0;
  }

  // From the upper edge of a pixel back to it; marks the upper edges on the way.
  std::vector<Corner> follow(const Corner& start) {
    std::vector<Corner> corners;
    Corner at = start;
    std::size_t way = 0;
    do {
      if (way == 0) seen_[index(at.x, at.y)] = true;
      at = {at.x + kSteps[way].x, at.y + kSteps[way].y};
      const bool left = inside(at.x + kLeft[way].x, at.y + kLeft[way].y);
      const bool right = inside(at.x + kRight[way].x, at.y + kRight[way].y);
      const std::size_t next = left ? (way + 3) % 4 : right ? way : (way + 1) % 4;  // pixels touch by corners, too
      if (next != way) corners.push_back(at);
      way = next;
    } while (at.x != start.x || at.y != start.y || way != 0);
    return corners;
  }

  const Mask& mask_;
  std::vector<bool> seen_;
};

// Positive: clockwise, y pointing down.
double doubled_area(const std::vector<Corner>& loop) {
  double area = 0;
  for (std::size_t i = 0; i < loop.size(); ++i) {
    const Corner &a = loop[i], &b = loop[(i + 1) % loop.size()];
    area += static_cast<double>(a.x) * static_cast<double>(b.y) - static_cast<double>(b.x) * static_cast<double>(a.y);
  }
  return area;
}

double distance(const Corner& point, const Corner& a, const Corner& b) {
  const auto dx = static_cast<double>(b.x - a.x), dy = static_cast<double>(b.y - a.y);
  const auto px = static_cast<double>(point.x - a.x), py = static_cast<double>(point.y - a.y);
  const double length = std::hypot(dx, dy);
  if (length == 0) return std::hypot(px, py);
  const double along = (px * dx + py * dy) / length;
  if (along < 0 || along > length) return std::min(std::hypot(px, py), std::hypot(px - dx, py - dy));
  return std::abs(px * dy - py * dx) / length;
}

// Marks what must stay between two corners that do.
void keep_between(const std::vector<Corner>& loop, std::size_t from, std::size_t to, double tolerance,
                  std::vector<bool>& kept) {
  std::vector<std::pair<std::size_t, std::size_t>> open{{from, to}};
  while (!open.empty()) {
    const auto [first, last] = open.back();
    open.pop_back();
    double farthest = tolerance;
    std::size_t which = first;
    for (std::size_t i = first + 1; i < last; ++i)
      if (const double away = distance(loop[i], loop[first], loop[last % loop.size()]); away > farthest)
        farthest = away, which = i;
    if (which == first) continue;
    kept[which] = true;
    open.emplace_back(first, which);
    open.emplace_back(which, last);
  }
}

Polygon simplified(const std::vector<Corner>& loop, double tolerance) {
  const auto away = [&](const Corner& a) { return std::hypot(a.x - loop[0].x, a.y - loop[0].y); };
  const auto opposite =
      static_cast<std::size_t>(std::ranges::max_element(loop, std::ranges::less{}, away) - loop.begin());
  std::vector<bool> kept(loop.size());
  kept[0] = kept[opposite] = true;
  keep_between(loop, 0, opposite, tolerance, kept);
  keep_between(loop, opposite, loop.size(), tolerance, kept);
  Polygon polygon;
  for (std::size_t i = 0; i < loop.size(); ++i)
    if (kept[i]) polygon.insert(polygon.end(), {static_cast<double>(loop[i].x), static_cast<double>(loop[i].y)});
  if (polygon.size() >= 6) return polygon;
  polygon.clear();  // thinner than the tolerance: as it is
  for (const Corner& corner : loop)
    polygon.insert(polygon.end(), {static_cast<double>(corner.x), static_cast<double>(corner.y)});
  return polygon;
}

}  // namespace

std::vector<Polygon> outlines(const Mask& mask, double tolerance) {
  std::vector<std::pair<double, Polygon>> outer;
  for (const std::vector<Corner>& loop : OutlineTracer(mask).loops())
    if (const double area = doubled_area(loop); area > 0) outer.emplace_back(area, simplified(loop, tolerance));
  std::ranges::stable_sort(outer, std::ranges::greater{}, [](const auto& entry) { return entry.first; });
  std::vector<Polygon> polygons;
  for (auto& [area, polygon] : outer) polygons.push_back(std::move(polygon));
  return polygons;
}

}  // namespace image_engine::vision
