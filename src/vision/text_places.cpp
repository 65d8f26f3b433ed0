#include "vision/text_places.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace image_engine::vision {
namespace {

// Chosen on 24 photos of 12 MP with drawn lines of letters 18 to 30 pixels high: 23 have two cells or more, of the
// 32 × 16 ones of photos without text mostly less than one in ten (docs/accuracy.md).
constexpr std::uint32_t kTextureEdge = 640;             // the longer edge at which texture is measured, about
constexpr int kStroke = 8;                              // levels between neighbours
constexpr std::size_t kWindow = 24;                     // pixels of a row that are measured together
constexpr double kAlternating = 0.35;                   // share of them that ends a stroke, in a band of three rows
constexpr double kQuiet = 0.45;                         // of the band's share, in a row above and below
constexpr std::size_t kFirstQuiet = 3, kLastQuiet = 7;  // rows from the band's middle
constexpr std::size_t kCellWidth = 32, kCellHeight = 16;
constexpr std::size_t kCellHits = 16;   // pixels like text that mark a cell
constexpr std::size_t kLeastCells = 2;  // of a place, or one with
constexpr std::size_t kLoneHits = 48;   // pixels like text in it and in the cells beside it
constexpr double kMostOfPicture = 0.5;  // of its pixels in areas: then all of it
// Strokes of letters up to 45 pixels high: of 211 such lines of bench/pipeline/text_pictures.py one has no such cell at
// 16 levels, and four have none at 24 (docs/accuracy.md).
constexpr std::size_t kStrokeCell = 32;  // pixels a side
constexpr std::size_t kAcross = 2;       // pixels from a stroke's middle to beside it
constexpr int kStrokeContrast = 20;      // levels that it is lighter or darker by on both sides
constexpr std::size_t kStrokeHits = 8;   // such pixels mark a cell

struct LumaRows {
  std::size_t width = 0, height = 0;
  std::vector<std::uint8_t> values;
  [[nodiscard]] const std::uint8_t* row(std::size_t y) const { return values.data() + y * width; }
};

// Means of factor × factor pixels.
LumaRows reduced_luma(const ImageView& picture, std::size_t factor) {
  LumaRows luma{picture.width / factor, picture.height / factor, {}};
  luma.values.resize(luma.width * luma.height);
  std::vector<std::uint32_t> sums(luma.width);
  const auto of = static_cast<std::uint32_t>(factor * factor * 256);
  for (std::size_t y = 0; y < luma.height; ++y) {
    std::ranges::fill(sums, 0U);
    for (std::size_t row = y * factor; row < (y + 1) * factor; ++row) {
      const std::uint8_t* from = picture.pixels.data() + row * picture.width * 3;
      for (std::uint32_t& sum : sums)
        for (std::size_t i = 0; i < factor; ++i, from += 3) sum += from[0] * 77U + from[1] * 150U + from[2] * 29U;
    }
    std::ranges::transform(sums, luma.values.data() + y * luma.width,
                           [of](std::uint32_t sum) { return static_cast<std::uint8_t>(sum / of); });
  }
  return luma;
}

// By pixel, how many of the kWindow around it in its row end a stroke: a step up soon after a step down or vice versa.
std::vector<std::uint8_t> stroke_ends(const LumaRows& luma) {
  std::vector<std::uint8_t> counts(luma.values.size());
  std::vector<int> signs(luma.width), sums(luma.width + 1);
  for (std::size_t y = 0; y < luma.height; ++y) {
    const std::uint8_t* row = luma.row(y);
    for (std::size_t x = 1; x < luma.width; ++x) {
      const int step = row[x] - row[x - 1];
      signs[x] = std::abs(step) > kStroke ? (step > 0 ? 1 : -1) : 0;
      const bool ends = signs[x] * signs[x - 1] < 0 || (x > 1 && signs[x] * signs[x - 2] < 0);
      sums[x + 1] = sums[x] + (ends ? 1 : 0);
    }
    for (std::size_t x = 0; x < luma.width; ++x) {
      const std::size_t from = x - std::min(x, kWindow / 2), to = std::min(x + kWindow / 2, luma.width);
      counts[y * luma.width + x] = static_cast<std::uint8_t>(sums[to] - sums[from]);
    }
  }
  return counts;
}

// Whether the pixel is in a flat band of strokes.
bool is_like_text(const LumaRows& luma, const std::vector<std::uint8_t>& ends, std::size_t x, std::size_t y) {
  const auto at = [&](std::size_t row) { return int{ends[row * luma.width + x]}; };
  const int band = at(y - 1) + at(y) + at(y + 1);
  if (band <= 3 * kAlternating * kWindow) return false;
  const auto quiet = [&](int direction) {
    for (std::size_t d = kFirstQuiet; d <= kLastQuiet; ++d) {
      const auto row = static_cast<std::ptrdiff_t>(y) + direction * static_cast<std::ptrdiff_t>(d);
      if (row < 0 || row >= static_cast<std::ptrdiff_t>(luma.height)) break;
      if (3 * at(static_cast<std::size_t>(row)) < kQuiet * band) return true;
    }
    return false;
  };
  return quiet(-1) && quiet(1);
}

struct Cells {
  std::size_t width, height, least;  // of a cell, pixels of the luma; the hits that mark it
  std::size_t least_cells, alone;    // of a place; the hits of a single cell and those beside it that are one, too
  std::size_t across, down;
  std::vector<std::size_t> hits = std::vector<std::size_t>(across * down);
  [[nodiscard]] std::size_t at(std::size_t x, std::size_t y) const { return hits[y * across + x]; }
  [[nodiscard]] bool marked(std::size_t x, std::size_t y) const { return at(x, y) >= least; }
  // Of a line of letters that the cells' borders cut.
  [[nodiscard]] bool is_place_alone(std::size_t x, std::size_t y) const {
    return at(x, y) + (x > 0 ? at(x - 1, y) : 0) + (x + 1 < across ? at(x + 1, y) : 0) >= alone;
  }
};

Cells texture_cells(const LumaRows& luma) {
  Cells cells{
      kCellWidth, kCellHeight, kCellHits, kLeastCells, kLoneHits, luma.width / kCellWidth, luma.height / kCellHeight};
  const std::vector<std::uint8_t> ends = stroke_ends(luma);
  for (std::size_t y = 1; y + 1 < cells.down * kCellHeight; ++y)
    for (std::size_t x = 0; x < cells.across * kCellWidth; ++x)
      if (is_like_text(luma, ends, x, y)) ++cells.hits[y / kCellHeight * cells.across + x / kCellWidth];
  return cells;
}

// Adds one to the hits of pixels that are lighter or darker than both of those beside them.
void add_strokes(const std::uint8_t* middle, const std::uint8_t* before, const std::uint8_t* behind,
                 std::span<std::uint8_t> hits) {
  for (std::size_t x = 0; x < hits.size(); ++x) {
    const int least = std::min(before[x], behind[x]), most = std::max(before[x], behind[x]);
    hits[x] += static_cast<std::uint8_t>(middle[x] >= most + kStrokeContrast || middle[x] + kStrokeContrast <= least);
  }
}

Cells stroke_cells(const LumaRows& luma) {
  const auto steps = [](std::size_t edge) { return (edge + kStrokeCell - 1) / kStrokeCell; };
  Cells cells{kStrokeCell, kStrokeCell, kStrokeHits, 1, kStrokeHits, steps(luma.width), steps(luma.height)};
  std::vector<std::uint8_t> hits(luma.width);
  for (std::size_t y = 0; y < luma.height; ++y) {
    const std::uint8_t* row = luma.row(y);
    if (luma.width > 2 * kAcross)
      add_strokes(row + kAcross, row, row + 2 * kAcross, std::span(hits).subspan(kAcross, luma.width - 2 * kAcross));
    if (y >= kAcross && y + kAcross < luma.height) add_strokes(row, luma.row(y - kAcross), luma.row(y + kAcross), hits);
    if ((y + 1) % kStrokeCell != 0 && y + 1 < luma.height) continue;
    for (std::size_t x = 0; x < luma.width; ++x)
      cells.hits[y / kStrokeCell * cells.across + x / kStrokeCell] += std::exchange(hits[x], std::uint8_t{0});
  }
  return cells;
}

// Takes the marked cells that are connected with this one, also diagonally, and gives the cells around them.
std::pair<Area, std::size_t> take_place(Cells& cells, std::size_t x, std::size_t y) {
  std::size_t left = x, right = x, top = y, bottom = y, count = 0;
  std::vector<std::pair<std::size_t, std::size_t>> open{{x, y}};
  cells.hits[y * cells.across + x] = 0;
  while (!open.empty()) {
    const auto [cx, cy] = open.back();
    open.pop_back();
    ++count;
    left = std::min(left, cx), right = std::max(right, cx), top = std::min(top, cy), bottom = std::max(bottom, cy);
    for (std::size_t v = cy - std::min<std::size_t>(cy, 1); v < std::min(cy + 2, cells.down); ++v)
      for (std::size_t u = cx - std::min<std::size_t>(cx, 1); u < std::min(cx + 2, cells.across); ++u)
        if (cells.marked(u, v)) {
          cells.hits[v * cells.across + u] = 0;
          open.emplace_back(u, v);
        }
  }
  const auto edge = [](std::size_t n) { return static_cast<std::uint32_t>(n); };
  return {{edge(left), edge(top), edge(right - left + 1), edge(bottom - top + 1)}, count};
}

// From x1, y1 to x2, y2, as far as it is inside the picture.
Area within(double x1, double y1, double x2, double y2, const ImageView& picture) {
  const auto left = static_cast<std::uint32_t>(std::clamp(x1, 0.0, picture.width - 1.0));
  const auto top = static_cast<std::uint32_t>(std::clamp(y1, 0.0, picture.height - 1.0));
  const auto right = static_cast<std::uint32_t>(std::clamp(std::ceil(x2), left + 1.0, double(picture.width)));
  const auto bottom = static_cast<std::uint32_t>(std::clamp(std::ceil(y2), top + 1.0, double(picture.height)));
  return {left, top, right - left, bottom - top};
}

// The places of enough marked cells, with the cells around them, in the picture of which the luma is reduced.
std::vector<Area> places_of(Cells cells, std::size_t factor, const ImageView& picture) {
  std::vector<Area> places;
  const auto across = static_cast<double>(cells.width * factor), down = static_cast<double>(cells.height * factor);
  for (std::size_t y = 0; y < cells.down; ++y)
    for (std::size_t x = 0; x < cells.across; ++x) {
      if (!cells.marked(x, y)) continue;
      const bool is_alone = cells.is_place_alone(x, y);
      const auto [place, count] = take_place(cells, x, y);
      if (count < cells.least_cells && !is_alone) continue;
      places.push_back(within((place.x - 1.0) * across, (place.y - 1.0) * down, (place.x + place.width + 1.0) * across,
                              (place.y + place.height + 1.0) * down, picture));
    }
  return places;
}

bool overlap(const Area& a, const Area& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

}  // namespace

std::vector<Area> text_texture(const ImageView& picture) {
  const double longer = std::max(picture.width, picture.height);
  const auto factor = static_cast<std::size_t>(std::max(std::round(longer / kTextureEdge), 1.0));
  return places_of(texture_cells(reduced_luma(picture, factor)), factor, picture);
}

std::vector<Area> stroke_places(const ImageView& small) {
  return joined(places_of(stroke_cells(reduced_luma(small, 1)), 1, small), small);
}

Area enlarged(const Area& area, double by, const ImageView& picture) {
  return within(area.x * by, area.y * by, (area.x + area.width) * by, (area.y + area.height) * by, picture);
}

std::vector<Area> areas_of_small(std::span<const Quad> boxes, double limit, const ImageView& picture) {
  std::vector<Area> areas;
  for (const Quad& box : boxes) {
    const CutSize size = cut_size(box);
    const double height = std::min(size.width, size.height);
    if (height >= limit) continue;
    const auto [left, right] = std::ranges::minmax(box, {}, &Point::x);
    const auto [top, bottom] = std::ranges::minmax(box, {}, &Point::y);
    areas.push_back(
        within(left.x - 2 * height, top.y - 2 * height, right.x + 2 * height, bottom.y + 2 * height, picture));
  }
  return areas;
}

std::vector<Area> joined(std::vector<Area> areas, const ImageView& picture) {
  for (std::size_t i = 0; i < areas.size(); ++i)
    for (std::size_t k = i + 1; k < areas.size(); ++k) {
      if (!overlap(areas[i], areas[k])) continue;
      const Area a = areas[i], b = areas[k];
      areas[i] = within(std::min(a.x, b.x), std::min(a.y, b.y), std::max(a.x + a.width, b.x + b.width),
                        std::max(a.y + a.height, b.y + b.height), picture);
      areas.erase(areas.begin() + static_cast<std::ptrdiff_t>(k));
      k = i;  // it may reach others now
    }
  double covered = 0;
  for (const Area& area : areas) covered += double{1} * area.width * area.height;
  if (covered > kMostOfPicture * picture.width * picture.height) return {{0, 0, picture.width, picture.height}};
  return areas;
}

bool lies_in(const Quad& box, const Area& area) {
  return std::ranges::all_of(box, [&](Point at) {
    return double{at.x} >= area.x && double{at.y} >= area.y && double{at.x} <= double{1} * area.x + area.width &&
           double{at.y} <= double{1} * area.y + area.height;
  });
}

}  // namespace image_engine::vision
