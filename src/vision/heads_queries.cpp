// Heads with a list of boxes and scores for each class: queries, yolo.
#include <algorithm>

#include "vision/heads_parts.h"

namespace image_engine::vision {
namespace {

// The best class except the last, the background, and its confidence.
Best best_of_softmax(std::span<const float> logits) {
  const Best best = best_of(logits.first(logits.size() - 1));
  const float highest = std::ranges::max(logits);
  float sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  return {best.label, std::exp(best.value - highest) / sum};
}

// A query's candidates at or above the threshold.
void take_query(std::span<const float> logits, std::span<const float> box, const HeadInput& input, Candidates& found) {
  const auto columns = static_cast<float>(input.shown.width), rows = static_cast<float>(input.shown.height);
  const auto take = [&](const Best& best) {
    if (best.value >= input.options.threshold)
      found.push_back(from_centre(box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows, best));
  };
  if (input.options.activation == Activation::kSoftmax) return take(best_of_softmax(logits));
  for (std::size_t label = 0; label < logits.size(); ++label)
    take({static_cast<std::uint32_t>(label), sigmoid(logits[label])});
}

// The layout of a yolo output: `at` × box + `step` × number.
struct YoloLayout {
  std::size_t boxes = 0, numbers = 0, at = 0, step = 0;
};
YoloLayout yolo_layout(const Tensor& output, bool objectness) {
  const auto rows = static_cast<std::size_t>(output.shape[1]), columns = static_cast<std::size_t>(output.shape[2]);
  return objectness ? YoloLayout{rows, columns, columns, 1} : YoloLayout{columns, rows, 1, columns};
}

}  // namespace

Result<Candidates> read_queries(const HeadInput& input) {
  constexpr std::string_view kWanted = "logits [1,q,classes] and boxes [1,q,4]";
  if (input.outputs.size() != 2) return unlike("queries", kWanted);
  const auto pair = pair_up(input.outputs[0], input.outputs[1], 4);
  if (!pair || !same_positions(*pair->scores, *pair->boxes, 3)) return unlike("queries", kWanted);
  const auto width = static_cast<std::size_t>(last_dimension(*pair->scores));
  const std::size_t without = input.options.activation == Activation::kSoftmax ? 1 : 0;
  IE_CHECK(check_classes(static_cast<std::int64_t>(width) - static_cast<std::int64_t>(without), input.classes));
  const auto logits = pair->scores->as<float>(), boxes = pair->boxes->as<float>();
  const std::size_t queries = boxes.size() / 4;
  Candidates found;
  for (std::size_t query = 0; query < queries; ++query)
    take_query(row_of(logits, query, width), row_of(boxes, query, 4), input, found);
  if (found.size() > queries) {
    std::ranges::stable_sort(found, std::ranges::greater(), &BoxCandidate::confidence);
    found.resize(queries);
  }
  return found;
}

Result<Candidates> read_yolo(const HeadInput& input) {
  if (input.outputs.size() != 1 || input.outputs[0].shape.size() != 3)
    return unlike("yolo", "[1,4+classes,n], or with objectness [1,n,5+classes]");
  const std::size_t before = input.options.objectness ? 5 : 4;
  const YoloLayout layout = yolo_layout(input.outputs[0], input.options.objectness);
  IE_CHECK(check_classes(static_cast<std::int64_t>(layout.numbers) - static_cast<std::int64_t>(before), input.classes));
  const auto values = input.outputs[0].as<float>();
  Candidates found;
  for (std::size_t i = 0; i < layout.boxes; ++i) {
    const auto number = [&](std::size_t n) { return values[i * layout.at + n * layout.step]; };
    Best best{0, number(before)};
    for (std::size_t c = 1; c < input.classes; ++c)
      if (const float score = number(before + c); score > best.value) best = {static_cast<std::uint32_t>(c), score};
    if (input.options.objectness) best.value *= number(4);
    if (best.value < input.options.threshold) continue;
    found.push_back(from_centre(number(0), number(1), number(2), number(3), best));
  }
  return found;
}

}  // namespace image_engine::vision
