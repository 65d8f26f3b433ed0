#include "vision/tiled_objects.h"

#include <algorithm>
#include <cmath>

#include "vision/heads.h"
#include "vision/tiles.h"

namespace image_engine::vision {
namespace {

constexpr double kElongated = 2.5;       // of one edge to the other
constexpr double kTileLength = 4.0 / 3;  // of a tile, of the shorter edge
constexpr std::uint32_t kMostTiles = 24;
constexpr double kAtEdge = 0.02;   // of a tile's length: a box that ends so near to its edge is cut
constexpr double kSameArea = 0.6;  // of the smaller box: two looks' boxes of one object share as much
constexpr double kSameRows = 0.5;  // of the heights of two parts of an object beside a seam

double area_of(const Box& box) { return double{box.width} * box.height; }

double shared_length(float a, float a_length, float b, float b_length) {
  return std::max(0.0, double{std::min(a + a_length, b + b_length)} - std::max(a, b));
}

double shared_area(const Box& a, const Box& b) {
  return shared_length(a.x, a.width, b.x, b.width) * shared_length(a.y, a.height, b.y, b.height);
}

Box around(const Box& a, const Box& b) {
  const float x = std::min(a.x, b.x), y = std::min(a.y, b.y);
  return {x, y, std::max(a.x + a.width, b.x + b.width) - x, std::max(a.y + a.height, b.y + b.height) - y};
}

bool is_same(const TileObject& a, const TileObject& b) {
  return a.object.label == b.object.label && a.tile != b.tile &&
         shared_area(a.object.box, b.object.box) > kSameArea * std::min(area_of(a.object.box), area_of(b.object.box));
}

// Two parts of one object that is longer than the tiles' overlap.
bool are_halves(const TileObject& a, const TileObject& b) {
  const auto alike = [](float at, float length, float other, float other_length) {
    return shared_length(at, length, other, other_length) > kSameRows * std::max(length, other_length);
  };
  const Box &p = a.object.box, &q = b.object.box;
  return a.is_cut && b.is_cut && a.object.label == b.object.label && a.tile != b.tile && shared_area(p, q) > 0 &&
         (alike(p.y, p.height, q.y, q.height) || alike(p.x, p.width, q.x, q.width));
}

}  // namespace

bool needs_tiles(std::uint32_t width, std::uint32_t height) {
  return std::max(width, height) >= kElongated * std::min(width, height) && std::min(width, height) > 0;
}

std::uint32_t tiled_edge(const ObjectDetector& detector, std::uint32_t full_width, std::uint32_t full_height) {
  const double aspect = double{1} * std::max(full_width, full_height) / std::min(full_width, full_height);
  const double edge = preprocess::wanted_edge(detector.plan()) * aspect;
  return static_cast<std::uint32_t>(std::min(edge, double{1} * std::max(full_width, full_height)));
}

std::vector<DetectedObject> merged(std::vector<TileObject> found) {
  std::ranges::stable_sort(found, [](const TileObject& a, const TileObject& b) {
    return a.is_cut != b.is_cut ? b.is_cut : a.object.confidence > b.object.confidence;
  });
  std::vector<TileObject> kept;
  for (const TileObject& one : found) {
    const auto half = std::ranges::find_if(kept, [&](const TileObject& other) { return are_halves(one, other); });
    if (half != kept.end())
      half->object.box = around(half->object.box, one.object.box);
    else if (std::ranges::none_of(kept, [&](const TileObject& other) { return is_same(one, other); }))
      kept.push_back(one);
  }
  std::vector<DetectedObject> objects;
  for (const TileObject& one : kept) objects.push_back(one.object);
  std::ranges::stable_sort(objects, std::ranges::greater(), &DetectedObject::confidence);
  objects.resize(std::min<std::size_t>(objects.size(), kMostObjects));
  return objects;
}

Result<std::vector<DetectedObject>> detect_in_tiles(const ObjectDetector& detector, const ImageView& picture,
                                                    std::uint32_t full_width, std::uint32_t full_height) {
  std::vector<TileObject> found;
  IE_TRY(const auto whole, detector.detect(picture, full_width, full_height));
  for (const DetectedObject& object : whole) found.push_back({object, 0, false});
  const bool wide = picture.width >= picture.height;
  const std::uint32_t longer = wide ? picture.width : picture.height, shorter = wide ? picture.height : picture.width;
  const double scale = double{1} * (wide ? full_width : full_height) / longer;
  const std::uint32_t count =
      spans_needed(longer, std::max(static_cast<std::uint32_t>(kTileLength * shorter), 1U), kMostTiles);
  std::size_t tile = 0;
  for (const Span& span : spans(longer, count)) {
    const Image part =
        wide ? crop(picture, span.from, 0, span.length, shorter) : crop(picture, 0, span.from, shorter, span.length);
    const auto edge = [&](std::uint32_t pixels) { return static_cast<std::uint32_t>(std::lround(pixels * scale)); };
    const std::uint32_t length = std::max(edge(span.length), 1U);
    IE_TRY(const auto objects, detector.detect({part.width, part.height, part.pixels}, wide ? length : full_width,
                                               wide ? full_height : length));
    ++tile;
    for (DetectedObject object : objects) {
      float& at = wide ? object.box.x : object.box.y;
      const float end = at + (wide ? object.box.width : object.box.height);
      const bool is_cut = (span.from > 0 && at < kAtEdge * length) ||
                          (span.from + span.length < longer && end > (1 - kAtEdge) * length);
      at += static_cast<float>(span.from * scale);
      found.push_back({object, tile, is_cut});
    }
  }
  return merged(std::move(found));
}

}  // namespace image_engine::vision
