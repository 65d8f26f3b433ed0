#include "vision/heads.h"

#include <algorithm>

#include "vision/heads_parts.h"

namespace image_engine::vision {
namespace {

constexpr std::string_view kOfQueries[] = {"activation"};
constexpr std::string_view kOfYolo[] = {"objectness"};
constexpr std::string_view kOfYoloAnchors[] = {"anchors", "strides", "scale_xy", "growth", "activation"};
constexpr std::string_view kOfAnchors[] = {"anchors", "sizes",     "scales",     "ratios",     "order", "strides",
                                           "centre",  "variances", "activation", "background", "axes"};
constexpr std::string_view kOfDetectnet[] = {"bbox_norm"};
constexpr std::string_view kOfDecoded[] = {"unit", "axes", "first_label"};
constexpr std::string_view kOfProposals[] = {"variances"};
// TAO's classifier_regr_std of 10, 10, 5, 5, which DeepStream's parser divides by.
constexpr std::array<float, 4> kOfTao = {0.1F, 0.1F, 0.2F, 0.2F};

// Decoded outputs were already suppressed by the model.
constexpr HeadKind kHeads[] = {
    {"nanodet", 0.4F, 0.6F, Unit::kPixels, {}, false, read_nanodet},
    {"centernet", 0.4F, 0.6F, Unit::kPixels, {}, false, read_centernet},
    {"centerface", 0.5F, 0.3F, Unit::kPixels, {}, false, read_centerface},
    {"detectnet", 0.4F, 0.5F, Unit::kPixels, kOfDetectnet, false, read_detectnet},
    {"queries", 0.5F, 1, Unit::kFractions, kOfQueries, false, read_queries},
    {"yolo", 0.4F, 0.7F, Unit::kPixels, kOfYolo, false, read_yolo},
    {"yolo_anchors", 0.4F, 0.5F, Unit::kPixels, kOfYoloAnchors, false, read_yolo_anchors},
    {"anchors", 0.4F, 0.5F, Unit::kPixels, kOfAnchors, false, read_anchors},
    {"batched_nms", 0.4F, 1, Unit::kFractions, kOfDecoded, true, read_batched_nms},
    {"fasterrcnn", 0.5F, 1, Unit::kPixels, kOfDecoded, true, read_fasterrcnn},
    {"fasterrcnn_dense", 0.5F, 0.3F, Unit::kFractions, kOfProposals, true, read_fasterrcnn_dense, kOfTao},
    {"yolo_rows", 0.4F, 1, Unit::kPixels, kOfDecoded, true, read_yolo_rows},
    {"nms_rows", 0.4F, 1, Unit::kFractions, kOfDecoded, true, read_nms_rows},
};

double area(const BoxCandidate& c) { return std::max(0.0, double{c.x2} - c.x1) * std::max(0.0, double{c.y2} - c.y1); }

double overlap(const BoxCandidate& a, const BoxCandidate& b) {
  const BoxCandidate common{std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2), std::min(a.y2, b.y2)};
  const double shared = area(common), all = area(a) + area(b) - shared;
  return all > 0 ? shared / all : 0;
}

}  // namespace

tl::unexpected<Error> unlike(std::string_view head, std::string_view wanted) {
  return fail(ErrorCode::kCorrupt, "outputs are not those of a " + std::string(head) + " head: " + std::string(wanted));
}

Status check_classes(std::int64_t found, std::size_t labels) {
  if (found == static_cast<std::int64_t>(labels)) return {};
  return fail(ErrorCode::kInvalidArgument, "the model has " + std::to_string(found) + " classes, its spec has " +
                                               std::to_string(labels) + " labels");
}

std::optional<ScoredBoxes> pair_up(const Tensor& first, const Tensor& second, std::int64_t sides) {
  if (last_dimension(second) == sides) return ScoredBoxes{&first, &second};
  if (last_dimension(first) == sides) return ScoredBoxes{&second, &first};
  return std::nullopt;
}

bool same_positions(const Tensor& a, const Tensor& b, std::size_t rank) {
  return a.shape.size() == rank && b.shape.size() == rank &&
         std::equal(a.shape.begin(), a.shape.end() - 1, b.shape.begin());
}

Best best_of(std::span<const float> values) {
  const auto found = std::ranges::max_element(values);
  return {static_cast<std::uint32_t>(found - values.begin()), *found};
}

std::span<const HeadKind> head_kinds() { return kHeads; }

std::vector<BoxCandidate> suppress(std::vector<BoxCandidate> candidates, float iou, std::size_t most) {
  std::ranges::stable_sort(candidates, std::ranges::greater(), &BoxCandidate::confidence);
  std::vector<BoxCandidate> kept;
  for (const BoxCandidate& candidate : candidates) {
    if (kept.size() >= most) break;
    const bool covered = std::ranges::any_of(kept, [&](const BoxCandidate& better) {
      return better.label == candidate.label && overlap(better, candidate) > double{iou};
    });
    if (!covered) kept.push_back(candidate);
  }
  return kept;
}

}  // namespace image_engine::vision
