#include "vision/text_boxes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace image_engine::vision {
namespace {

constexpr double kLeastBoxSide = 3;     // of a candidate, in the map's pixels; 2 more once it has grown
constexpr int kLeastInPicture = 3;      // a box' sides, rounded down, are more
constexpr double kSameLine = 10;        // pixels
constexpr double kArcTolerance = 0.25;  // greatest distance of an offset's round corners from the circle

// Whole pixels, exact in double.
struct Dot {
  double x = 0, y = 0;
  auto operator<=>(const Dot&) const = default;
};

struct InkRun {
  std::uint32_t row = 0, begin = 0, end = 0;  // [begin, end)
  bool ink = false;
  std::uint32_t parent = 0;
};

// The map's pixels above the threshold, each extended to the right and down by one.
std::vector<std::uint8_t> ink_of(const TextMap& map, float threshold) {
  std::vector<std::uint8_t> ink(map.values.size());
  const std::size_t width = map.width;
  for (std::size_t y = 0; y < map.height; ++y)
    for (std::size_t x = 0; x < width; ++x) {
      if (!(map.values[y * width + x] > threshold)) continue;
      for (std::size_t v = y; v < std::min<std::size_t>(y + 2, map.height); ++v)
        for (std::size_t u = x; u < std::min(x + 2, width); ++u) ink[v * width + u] = 1;
    }
  return ink;
}

std::uint32_t root_of(std::vector<InkRun>& runs, std::uint32_t i) {
  while (runs[i].parent != i) i = runs[i].parent = runs[runs[i].parent].parent;
  return i;
}

// All rows as runs with and without ink, joined by `parent`: ink also diagonally, the rest not.
std::vector<InkRun> joined_runs(const TextMap& map, std::span<const std::uint8_t> ink) {
  std::vector<InkRun> runs;
  std::size_t above = 0;  // start of the row above
  for (std::uint32_t y = 0; y < map.height; ++y) {
    const std::size_t here = runs.size();
    const std::uint8_t* row = ink.data() + std::size_t{y} * map.width;
    for (std::uint32_t begin = 0; begin < map.width;) {
      std::uint32_t end = begin + 1;
      while (end < map.width && row[end] == row[begin]) ++end;
      runs.push_back({y, begin, end, row[begin] != 0, static_cast<std::uint32_t>(runs.size())});
      begin = end;
    }
    std::size_t first = above;
    for (std::size_t i = here; i < runs.size(); ++i) {
      const std::uint32_t reach = runs[i].ink ? 1 : 0;
      while (first < here && runs[first].end + 1 < runs[i].begin) ++first;
      for (std::size_t k = first; k < here && runs[k].begin < runs[i].end + reach; ++k)
        if (runs[k].ink == runs[i].ink && runs[k].end + reach > runs[i].begin)
          runs[root_of(runs, static_cast<std::uint32_t>(i))].parent = root_of(runs, static_cast<std::uint32_t>(k));
    }
    above = here;
  }
  return runs;
}

// The ink around a hole's run: at its ends, and the outermost above and below.
void add_rim(const InkRun& run, const TextMap& map, std::span<const std::uint8_t> ink, std::vector<Dot>& dots) {
  dots.push_back({run.begin - 1.0, double(run.row)});
  dots.push_back({double(run.end), double(run.row)});
  for (const std::uint32_t y : {run.row - 1, run.row + 1}) {
    const std::uint8_t* row = ink.data() + std::size_t{y} * map.width;
    const std::uint8_t *begin = row + run.begin, *end = row + run.end;
    const auto* first = std::find(begin, end, 1);
    if (first == end) continue;
    while (*--end != 1) {
    }
    dots.push_back({double(first - row), double(y)});
    dots.push_back({double(end - row), double(y)});
  }
}

// The outlines of connected ink and of the holes in it, as points with the same convex hull.
std::vector<std::vector<Dot>> outlines(const TextMap& map, std::span<const std::uint8_t> ink, std::size_t most) {
  std::vector<InkRun> runs = joined_runs(map, ink);
  struct Group {
    std::uint32_t root = 0;
    std::size_t pixels = 0;
    bool open = false;  // background that reaches the border is no hole
    std::size_t slot = SIZE_MAX;
  };
  std::vector<Group> groups(runs.size());
  for (std::uint32_t i = 0; i < runs.size(); ++i) {
    const InkRun& run = runs[i];
    const std::uint32_t root = root_of(runs, i);
    Group& group = groups[root];
    group.root = root;
    group.pixels += run.end - run.begin;
    group.open |= !run.ink && (run.row == 0 || run.row + 1 == map.height || run.begin == 0 || run.end == map.width);
  }
  std::vector<Group*> candidates;
  for (Group& group : groups)
    if (group.pixels > 0 && !group.open) candidates.push_back(&group);
  std::ranges::stable_sort(candidates, std::greater<>(), &Group::pixels);
  if (candidates.size() > most) candidates.resize(most);
  for (std::size_t i = 0; i < candidates.size(); ++i) candidates[i]->slot = i;

  std::vector<std::vector<Dot>> found(candidates.size());
  for (std::uint32_t i = 0; i < runs.size(); ++i) {
    const InkRun& run = runs[i];
    const std::size_t slot = groups[root_of(runs, i)].slot;
    if (slot == SIZE_MAX) continue;
    if (!run.ink) {
      add_rim(run, map, ink, found[slot]);
      continue;
    }
    found[slot].push_back({double(run.begin), double(run.row)});
    found[slot].push_back({run.end - 1.0, double(run.row)});
  }
  return found;
}

double cross(Dot o, Dot a, Dot b) { return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x); }

// Andrew's monotone chain; without points on edges.
std::vector<Dot> convex_hull(std::vector<Dot> dots) {
  std::ranges::sort(dots);
  dots.erase(std::ranges::unique(dots).begin(), dots.end());
  if (dots.size() < 3) return dots;
  std::vector<Dot> hull;
  const auto add = [&](Dot dot, std::size_t least) {
    while (hull.size() >= least + 2 && cross(hull[hull.size() - 2], hull.back(), dot) <= 0) hull.pop_back();
    hull.push_back(dot);
  };
  for (const Dot& dot : dots) add(dot, 0);
  const std::size_t lower = hull.size() - 1;
  for (std::size_t i = dots.size() - 1; i-- > 0;) add(dots[i], lower);
  hull.pop_back();
  return hull;
}

struct Rectangle {
  std::array<Dot, 4> corners;  // top left, top right, bottom right, bottom left
  double short_side = 0;
};

// Left and right by x, then top and bottom by y, as PaddleOCR names corners.
std::array<Dot, 4> named_corners(std::array<Dot, 4> c) {
  std::ranges::stable_sort(c, {}, &Dot::x);
  if (!(c[1].y > c[0].y)) std::swap(c[0], c[1]);  // c[0] top left, c[1] bottom left
  if (!(c[3].y > c[2].y)) std::swap(c[2], c[3]);  // c[2] top right, c[3] bottom right
  return {c[0], c[2], c[3], c[1]};
}

// The smallest rectangle around the points: one of its sides is on a side of their hull.
Rectangle smallest_rectangle(std::vector<Dot> dots) {
  const std::vector<Dot> hull = convex_hull(std::move(dots));
  Rectangle best;
  if (hull.size() < 3) return best;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < hull.size(); ++i) {
    const Dot from = hull[i], to = hull[(i + 1) % hull.size()];
    const double length = std::hypot(to.x - from.x, to.y - from.y);
    const Dot along{(to.x - from.x) / length, (to.y - from.y) / length};
    double first = 0, last = 0, high = 0;
    for (const Dot& dot : hull) {
      const double u = (dot.x - from.x) * along.x + (dot.y - from.y) * along.y;
      first = std::min(first, u), last = std::max(last, u);
      high = std::max(high, (dot.y - from.y) * along.x - (dot.x - from.x) * along.y);
    }
    if ((last - first) * high >= least) continue;
    least = (last - first) * high;
    const auto at = [&](double u, double v) {
      return Dot{from.x + u * along.x - v * along.y, from.y + u * along.y + v * along.x};
    };
    best = {{at(first, 0), at(last, 0), at(last, high), at(first, high)}, std::min(last - first, high)};
  }
  best.corners = named_corners(best.corners);
  return best;
}

// The smallest rectangle; an upright one where it is tilted by less than this many pixels from end to end.
Rectangle core_of(std::vector<Dot> dots, double least_tilt) {
  const auto [left, right] = std::ranges::minmax(dots, {}, &Dot::x);
  const auto [top, bottom] = std::ranges::minmax(dots, {}, &Dot::y);
  const Rectangle upright{{Dot{left.x, top.y}, {right.x, top.y}, {right.x, bottom.y}, {left.x, bottom.y}},
                          std::min(right.x - left.x, bottom.y - top.y)};
  const Rectangle core = smallest_rectangle(std::move(dots));
  const double across = std::abs(core.corners[1].y - core.corners[0].y);
  const double down = std::abs(core.corners[3].x - core.corners[0].x);
  return std::max(across, down) < least_tilt ? upright : core;
}

// The mean probability of the pixels in a quadrangle, including its edges.
double mean_inside(const TextMap& map, const std::array<Dot, 4>& corners) {
  const auto [left, right] = std::ranges::minmax(corners, {}, &Dot::x);
  const auto [top, bottom] = std::ranges::minmax(corners, {}, &Dot::y);
  const auto within = [](double at, std::uint32_t size) { return static_cast<int>(std::clamp(at, 0.0, size - 1.0)); };
  const int x0 = within(std::floor(left.x), map.width), x1 = within(std::ceil(right.x), map.width);
  const int y0 = within(std::floor(top.y), map.height), y1 = within(std::ceil(bottom.y), map.height);
  struct Span {
    int first = std::numeric_limits<int>::max(), last = std::numeric_limits<int>::min();
  };
  std::vector<Span> spans(static_cast<std::size_t>(y1 - y0) + 1);
  for (std::size_t i = 0; i < 4; ++i) {
    const Dot from{std::trunc(corners[i].x - x0), std::trunc(corners[i].y - y0)};
    const Dot to{std::trunc(corners[(i + 1) % 4].x - x0), std::trunc(corners[(i + 1) % 4].y - y0)};
    const int steps = static_cast<int>(std::max(std::abs(to.x - from.x), std::abs(to.y - from.y)));
    for (int k = 0; k <= steps; ++k) {
      const double t = steps == 0 ? 0 : double{1} * k / steps;
      const double y = std::round(from.y + t * (to.y - from.y));
      const int x = static_cast<int>(std::round(from.x + t * (to.x - from.x)));
      if (y < 0 || y > y1 - y0) continue;
      Span& span = spans[static_cast<std::size_t>(y)];
      span.first = std::min(span.first, x), span.last = std::max(span.last, x);
    }
  }
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t y = 0; y < spans.size(); ++y)
    for (int x = std::max(spans[y].first, 0); x <= std::min(spans[y].last, x1 - x0); ++x, ++count)
      sum += double{map.values[(static_cast<std::size_t>(y0) + y) * map.width + static_cast<std::size_t>(x0 + x)]};
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

double area_of(const std::array<Dot, 4>& c) {
  double twice = 0;
  for (std::size_t i = 0; i < 4; ++i) twice += c[i].x * c[(i + 1) % 4].y - c[(i + 1) % 4].x * c[i].y;
  return std::abs(twice) / 2;
}

double length_of(const std::array<Dot, 4>& c) {
  double sum = 0;
  for (std::size_t i = 0; i < 4; ++i) sum += std::hypot(c[(i + 1) % 4].x - c[i].x, c[(i + 1) % 4].y - c[i].y);
  return sum;
}

// The outline offset outward by this distance, with round corners, in whole pixels; its corners are truncated to whole
// pixels first (as in PaddleOCR's polygon library).
std::vector<Dot> grown(std::array<Dot, 4> corners, double by) {
  for (Dot& corner : corners) corner = {std::trunc(corner.x), std::trunc(corner.y)};
  std::vector<Dot> outline;
  const double step = std::max(std::acos(1 - std::min(kArcTolerance / by, 1.0)) * 2, 2 / by);
  std::array<double, 4> angles{};  // of the outward normals; in these corners' order, outside is to the left
  for (std::size_t i = 0; i < 4; ++i) {
    const Dot a = corners[i], b = corners[(i + 1) % 4];
    angles[i] = std::atan2(-(b.x - a.x), b.y - a.y);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    const double from = angles[(i + 3) % 4];
    double turn = angles[i] - from;
    turn -= 2 * std::numbers::pi * std::round(turn / (2 * std::numbers::pi));
    const int steps = std::max(static_cast<int>(std::round(std::abs(turn) / step)), 1);
    for (int k = 0; k <= steps; ++k) {
      const double angle = k == steps ? angles[i] : from + std::copysign(k * step, turn);
      outline.push_back(
          {std::round(corners[i].x + by * std::cos(angle)), std::round(corners[i].y + by * std::sin(angle))});
    }
  }
  return outline;
}

// Converts a rectangle's corners from the map to the picture.
Quad in_picture(const std::array<Dot, 4>& corners, const TextMap& map, std::uint32_t width, std::uint32_t height) {
  std::array<Dot, 4> c;
  for (std::size_t i = 0; i < 4; ++i)
    c[i] = {std::clamp(std::nearbyint(corners[i].x / map.width * width), 0.0, double(width)),
            std::clamp(std::nearbyint(corners[i].y / map.height * height), 0.0, double(height))};
  std::ranges::stable_sort(c, {}, &Dot::x);
  if (c[1].y < c[0].y) std::swap(c[0], c[1]);
  if (c[3].y < c[2].y) std::swap(c[2], c[3]);
  Quad quad;
  for (std::size_t i = 0; const std::size_t from : {0U, 2U, 3U, 1U})
    quad[i++] = {static_cast<float>(std::min(c[from].x, width - 1.0)),
                 static_cast<float>(std::min(c[from].y, height - 1.0))};
  return quad;
}

bool is_thin(const Quad& q) {
  const auto side = [](Point a, Point b) { return static_cast<int>(std::hypot(a.x - b.x, a.y - b.y)); };
  return side(q[0], q[1]) <= kLeastInPicture || side(q[0], q[3]) <= kLeastInPicture;
}

}  // namespace

std::vector<Quad> find_boxes(const TextMap& map, const BoxOptions& options, std::uint32_t picture_width,
                             std::uint32_t picture_height) {
  const std::vector<std::uint8_t> ink = ink_of(map, options.threshold);
  std::vector<Quad> boxes;
  for (std::vector<Dot>& outline : outlines(map, ink, options.most)) {
    const Rectangle core = core_of(std::move(outline), options.least_tilt);
    if (core.short_side < kLeastBoxSide) continue;
    if (mean_inside(map, core.corners) < double{options.box_threshold}) continue;
    const double by = area_of(core.corners) * options.unclip / length_of(core.corners);
    const Rectangle whole = smallest_rectangle(grown(core.corners, by));
    if (whole.short_side < kLeastBoxSide + 2) continue;
    const Quad quad = in_picture(whole.corners, map, picture_width, picture_height);
    if (!is_thin(quad)) boxes.push_back(quad);
  }
  return boxes;
}

void sort_for_reading(std::vector<Quad>& boxes) {
  std::ranges::stable_sort(boxes, {}, [](const Quad& q) { return std::pair(q[0].y, q[0].x); });
  for (std::size_t i = 1; i < boxes.size(); ++i)
    for (std::size_t k = i; k > 0; --k) {
      const Point before = boxes[k - 1][0], after = boxes[k][0];
      if (!(std::abs(after.y - before.y) < kSameLine && after.x < before.x)) break;
      std::swap(boxes[k - 1], boxes[k]);
    }
}

}  // namespace image_engine::vision
