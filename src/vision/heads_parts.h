// Shared by the heads. Only heads*.cpp include this.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "vision/heads.h"

namespace image_engine::vision {

using Candidates = std::vector<BoxCandidate>;

Result<Candidates> read_nanodet(const HeadInput& input);
Result<Candidates> read_centernet(const HeadInput& input);
Result<Candidates> read_centerface(const HeadInput& input);
Result<Candidates> read_detectnet(const HeadInput& input);
Result<Candidates> read_queries(const HeadInput& input);
Result<Candidates> read_yolo(const HeadInput& input);
Result<Candidates> read_yolo_anchors(const HeadInput& input);
Result<Candidates> read_anchors(const HeadInput& input);
Result<Candidates> read_batched_nms(const HeadInput& input);
Result<Candidates> read_fasterrcnn(const HeadInput& input);
Result<Candidates> read_fasterrcnn_dense(const HeadInput& input);
Result<Candidates> read_yolo_rows(const HeadInput& input);
Result<Candidates> read_nms_rows(const HeadInput& input);

// Checks the options for anchors together. kInvalidArgument.
Status check_anchor_options(const HeadOptions& options);

inline std::int64_t last_dimension(const Tensor& tensor) { return tensor.shape.empty() ? 0 : tensor.shape.back(); }

tl::unexpected<Error> unlike(std::string_view head, std::string_view wanted);
Status check_classes(std::int64_t found, std::size_t labels);

// Scores and the boxes that belong to them, whose last dimension is `sides`.
struct ScoredBoxes {
  const Tensor* scores = nullptr;
  const Tensor* boxes = nullptr;
};
std::optional<ScoredBoxes> pair_up(const Tensor& first, const Tensor& second, std::int64_t sides);
// Whether both have that rank, and equal shapes up to the last dimension.
bool same_positions(const Tensor& a, const Tensor& b, std::size_t rank);

struct Best {
  std::uint32_t label = 0;
  float value = 0;
};
// The largest of at least one value; the first of equals.
Best best_of(std::span<const float> values);

inline std::span<const float> row_of(std::span<const float> values, std::size_t row, std::size_t width) {
  return values.subspan(row * width, width);
}
// e to this power is finite, and far above any picture's size in pixels.
inline constexpr float kMostGrowth = 20;
inline float sigmoid(float value) { return 1 / (1 + std::exp(-value)); }

inline BoxCandidate from_centre(float x, float y, float width, float height, const Best& best) {
  return {x - width / 2, y - height / 2, x + width / 2, y + height / 2, best.value, best.label};
}

}  // namespace image_engine::vision
