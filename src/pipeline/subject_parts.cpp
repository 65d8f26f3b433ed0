#include "pipeline/subject_parts.h"

#include <algorithm>
#include <cstdint>

namespace image_engine::pipeline {
namespace {

constexpr double kLeastShare = 0.001;  // of a part, of the matte's places
constexpr double kSameObject = 0.4;    // IoU of a part's box and a detected object's

double overlap(const Box& a, const Box& b) {
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  const double shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

}  // namespace

std::vector<vision::MaskPart> subject_parts(const vision::Matte& matte) {
  vision::Mask mask{matte.width, matte.height, std::vector<std::uint8_t>(matte.alpha.size())};
  std::ranges::transform(matte.alpha, mask.pixels.begin(), [](float alpha) { return alpha >= 0.5F ? 255 : 0; });
  const auto least =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(kLeastShare * static_cast<double>(mask.pixels.size())));
  std::vector<vision::MaskPart> parts = vision::connected_parts(mask, least);
  if (parts.size() > kMostSubjects) parts.resize(kMostSubjects);
  return parts;
}

const vision::DetectedObject* object_at(const Box& box, std::span<const vision::DetectedObject> objects) {
  const vision::DetectedObject* found = nullptr;
  double best = kSameObject;
  for (const vision::DetectedObject& object : objects)
    if (const double shared = overlap(box, object.box); shared > best) best = shared, found = &object;
  return found;
}

}  // namespace image_engine::pipeline
