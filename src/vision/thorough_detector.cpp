#include "vision/thorough_detector.h"

#include "vision/heads.h"
#include "vision/tiles.h"

namespace image_engine::vision {
namespace {

constexpr std::uint32_t kMostPartsAlong = 8;  // an edge
constexpr float kSameThing = 0.5F;            // IoU

// With positions in the picture that the part at (x, y) was cut from.
void add(std::vector<BoxCandidate>& all, const std::vector<DetectedObject>& found, std::uint32_t x, std::uint32_t y) {
  for (const DetectedObject& object : found) {
    const float left = object.box.x + static_cast<float>(x), top = object.box.y + static_cast<float>(y);
    all.push_back({left, top, left + object.box.width, top + object.box.height, object.confidence, object.label});
  }
}

}  // namespace

Result<std::vector<DetectedObject>> ThoroughDetector::detect(const ImageView& picture,
                                                             const std::function<bool()>& go_on) const {
  std::vector<BoxCandidate> all;
  const auto look = [&](const ObjectDetector& detector, const ImageView& part, std::uint32_t x,
                        std::uint32_t y) -> Status {
    if (go_on && !go_on()) return fail(ErrorCode::kInterrupted, "interrupted");
    IE_TRY(const auto found, detector.detect(part, part.width, part.height));
    add(all, found, x, y);
    return {};
  };
  IE_CHECK(look(fine_, picture, 0, 0));
  if (coarse_) IE_CHECK(look(*coarse_, picture, 0, 0));
  const auto longest = static_cast<std::uint32_t>(most_reduced_ * preprocess::wanted_edge(fine_.plan()));
  const std::uint32_t across = spans_needed(picture.width, longest, kMostPartsAlong);
  const std::uint32_t down = spans_needed(picture.height, longest, kMostPartsAlong);
  if (across * down > 1)
    for (const Span& y : spans(picture.height, down))
      for (const Span& x : spans(picture.width, across)) {
        const Image part = crop(picture, x.from, y.from, x.length, y.length);
        IE_CHECK(look(fine_, {part.width, part.height, part.pixels}, x.from, y.from));
      }
  std::vector<DetectedObject> objects;
  const std::size_t most = all.size();
  for (const BoxCandidate& best : suppress(std::move(all), kSameThing, most))
    objects.push_back({best.label, best.confidence, {best.x1, best.y1, best.x2 - best.x1, best.y2 - best.y1}});
  return objects;
}

}  // namespace image_engine::vision
