#include "vision/mask_planes.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "vision/graph_checks.h"

namespace image_engine::vision {
namespace {

// Of `count` places that cover [from, from + length) of an edge of `samples` samples, each at its middle.
std::vector<Between> places_between(std::uint32_t count, double from, double length, std::uint32_t samples) {
  std::vector<Between> all(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const double at = std::clamp(from + (i + 0.5) * length / count - 0.5, 0.0, samples - 1.0);
    const auto first = static_cast<std::uint32_t>(at);
    all[i] = {first, std::min(first + 1, samples - 1), static_cast<float>(at - first)};
  }
  return all;
}

}  // namespace

Result<MaskPlanes> mask_planes(const Tensor& output, std::size_t count) {
  IE_CHECK(check_output(output, 1));
  std::vector<std::int64_t> shape = output.shape;
  if (shape.size() == 3 && count == 1) shape.insert(shape.begin() + 1, 1);
  const auto wanted = static_cast<std::int64_t>(count);
  const bool first = shape.size() == 4 && shape[1] == wanted, last = shape.size() == 4 && shape[3] == wanted;
  constexpr std::int64_t kMost = preprocess::kLargestEdge;
  const std::int64_t height = first ? shape[2] : last ? shape[1] : 0, width = first ? shape[3] : last ? shape[2] : 0;
  if (height < 1 || width < 1 || height > kMost || width > kMost)
    return fail(ErrorCode::kCorrupt,
                "its output is " + shape_text(output.shape) + ", not " +
                    (count == 1 ? "one plane" : std::to_string(count) + " planes, as many as its spec has labels"));
  MaskPlanes planes{output.as<float>(), static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), count};
  planes.of_plane = first ? std::size_t{planes.width} * planes.height : 1;
  planes.of_pixel = first ? 1 : count;
  return planes;
}

MaskPlaces mask_places(const MaskPlanes& planes, const preprocess::Plan& plan, const preprocess::Prepared& prepared,
                       MaskDetail detail) {
  const preprocess::Placement& placed = prepared.placement;
  const double across = static_cast<double>(planes.width) / plan.width,
               down = static_cast<double>(planes.height) / plan.height;
  const double width = prepared.picture.width * placed.scale_x, height = prepared.picture.height * placed.scale_y;
  const auto count = [](double length) { return static_cast<std::uint32_t>(std::max(1L, std::lround(length))); };
  const bool of_input = detail == MaskDetail::kOfInput;
  return {
      places_between(count(of_input ? width : width * across), placed.offset_x * across, width * across, planes.width),
      places_between(count(of_input ? height : height * down), placed.offset_y * down, height * down, planes.height)};
}

float sample(const MaskPlanes& planes, std::size_t plane, const Between& x, const Between& y) {
  const float top = std::lerp(planes.at(plane, x.first, y.first), planes.at(plane, x.second, y.first), x.part);
  if (y.part == 0) return top;
  return std::lerp(top, std::lerp(planes.at(plane, x.first, y.second), planes.at(plane, x.second, y.second), x.part),
                   y.part);
}

float probability(float logit) { return 1 / (1 + std::exp(-logit)); }

Matte matte_of_logits(const MaskPlanes& planes, std::size_t plane, const MaskPlaces& places) {
  Matte matte{static_cast<std::uint32_t>(places.xs.size()), static_cast<std::uint32_t>(places.ys.size()), {}};
  matte.alpha.reserve(std::size_t{matte.width} * matte.height);
  for (const Between& y : places.ys)
    for (const Between& x : places.xs) matte.alpha.push_back(probability(sample(planes, plane, x, y)));
  return matte;
}

}  // namespace image_engine::vision
