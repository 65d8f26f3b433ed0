// Heads of models that decode and suppress themselves: batched_nms, fasterrcnn, yolo_rows, nms_rows.
#include <algorithm>
#include <cmath>

#include "vision/heads_parts.h"

namespace image_engine::vision {
namespace {

bool is_whole(const Tensor& tensor) { return tensor.type != ElementType::kFloat32; }

// Of kFloat32, kInt32 or kInt64.
std::vector<float> numbers_of(const Tensor& tensor) {
  const auto copy = [](const auto& values) {
    std::vector<float> numbers(values.size());
    std::ranges::transform(values, numbers.begin(), [](auto value) { return static_cast<float>(value); });
    return numbers;
  };
  if (tensor.type == ElementType::kInt64) return copy(tensor.as<std::int64_t>());
  if (tensor.type == ElementType::kInt32) return copy(tensor.as<std::int32_t>());
  return copy(tensor.as<float>());
}

struct Row {
  float box[4];
  float score = 0, label = 0;
};

Status take(const Row& row, const HeadInput& input, Candidates& found) {
  const HeadOptions& options = input.options;
  if (row.score < options.threshold) return {};
  const float label = std::round(row.label) - static_cast<float>(options.first_label);
  if (!(label >= 0 && label < static_cast<float>(input.classes)))
    return fail(ErrorCode::kInvalidArgument, "the model has class " + std::to_string(static_cast<long>(row.label)) +
                                                 ", its spec has " + std::to_string(input.classes) + " labels from " +
                                                 std::to_string(options.first_label) + " on");
  const bool fractions = options.unit == Unit::kFractions;
  const float across = fractions ? static_cast<float>(input.size.width) : 1;
  const float down = fractions ? static_cast<float>(input.size.height) : 1;
  const std::size_t x = options.axes == Axes::kXy ? 0 : 1, y = 1 - x;
  found.push_back({row.box[x] * across, row.box[y] * down, row.box[2 + x] * across, row.box[2 + y] * down, row.score,
                   static_cast<std::uint32_t>(label)});
  return {};
}

// Removes and returns the tensor of highest rank with this last dimension; null when there is none.
const Tensor* take_widest(std::vector<const Tensor*>& tensors, std::int64_t last) {
  auto best = tensors.end();
  for (auto at = tensors.begin(); at != tensors.end(); ++at)
    if ((*at)->shape.size() >= 2 && last_dimension(**at) == last &&
        (best == tensors.end() || (*at)->shape.size() > (*best)->shape.size()))
      best = at;
  if (best == tensors.end()) return nullptr;
  const Tensor* found = *best;
  tensors.erase(best);
  return found;
}

// Removes and returns the boxes [.., 4]; null when there are none, or when the number of tensors is not `outputs`.
const Tensor* take_boxes(std::vector<const Tensor*>& tensors, std::size_t outputs) {
  return tensors.size() == outputs ? take_widest(tensors, 4) : nullptr;
}

bool each_holds(std::span<const Tensor* const> tensors, std::size_t count) {
  return std::ranges::all_of(tensors, [count](const Tensor* tensor) { return tensor->count() == count; });
}

std::vector<const Tensor*> all_of(std::span<const Tensor> outputs) {
  std::vector<const Tensor*> tensors;
  for (const Tensor& tensor : outputs) tensors.push_back(&tensor);
  return tensors;
}

// The number of rows given by an output.
std::size_t row_count(const Tensor& tensor, std::size_t most) {
  return static_cast<std::size_t>(std::clamp(numbers_of(tensor)[0], 0.0F, static_cast<float>(most)));
}

// `rest`: the scores and classes of `count` or more boxes.
Result<Candidates> read_lists(const Tensor& boxes, std::vector<const Tensor*> rest, std::size_t count,
                              const HeadInput& input) {
  if (is_whole(*rest[0]) && !is_whole(*rest[1])) std::swap(rest[0], rest[1]);
  const auto corners = numbers_of(boxes), scores = numbers_of(*rest[0]), classes = numbers_of(*rest[1]);
  Candidates found;
  for (std::size_t i = 0; i < count; ++i) {
    const float* box = &corners[i * 4];
    IE_CHECK(take({{box[0], box[1], box[2], box[3]}, scores[i], classes[i]}, input, found));
  }
  return found;
}

}  // namespace

Result<Candidates> read_batched_nms(const HeadInput& input) {
  constexpr std::string_view kWanted = "a number, boxes [1,k,4], scores [1,k] and classes [1,k]";
  auto rest = all_of(input.outputs);
  const Tensor* boxes = take_boxes(rest, 4);
  if (boxes == nullptr) return unlike("batched_nms", kWanted);
  auto number = std::ranges::find_if(rest, [](const Tensor* t) { return t->count() == 1 && is_whole(*t); });
  if (number == rest.end()) number = std::ranges::find_if(rest, [](const Tensor* t) { return t->count() == 1; });
  if (number == rest.end()) return unlike("batched_nms", kWanted);
  const std::size_t most = boxes->count() / 4, count = row_count(**number, most);
  rest.erase(number);
  if (!each_holds(rest, most)) return unlike("batched_nms", kWanted);
  return read_lists(*boxes, rest, count, input);
}

Result<Candidates> read_fasterrcnn(const HeadInput& input) {
  constexpr std::string_view kWanted = "boxes [n,4], classes [n] and scores [n]";
  auto rest = all_of(input.outputs);
  const Tensor* boxes = take_boxes(rest, 3);
  if (boxes == nullptr) return unlike("fasterrcnn", kWanted);
  const std::size_t count = boxes->count() / 4;
  if (!each_holds(rest, count)) return unlike("fasterrcnn", kWanted);
  return read_lists(*boxes, rest, count, input);
}

Result<Candidates> read_yolo_rows(const HeadInput& input) {
  auto rest = all_of(input.outputs);
  const Tensor* table = take_widest(rest, 6);
  if (table == nullptr || !rest.empty()) return unlike("yolo_rows", "[1,k,6]");
  const auto values = numbers_of(*table);
  Candidates found;
  for (std::size_t i = 0; i < values.size(); i += 6) {
    const float* row = &values[i];
    IE_CHECK(take({{row[0], row[1], row[2], row[3]}, row[4], row[5]}, input, found));
  }
  return found;
}

Result<Candidates> read_nms_rows(const HeadInput& input) {
  constexpr std::string_view kWanted = "[1,1,k,7], and optionally the number of rows";
  auto rest = all_of(input.outputs);
  const Tensor* table = take_widest(rest, 7);
  if (table == nullptr || rest.size() > 1 || (rest.size() == 1 && rest[0]->count() != 1))
    return unlike("nms_rows", kWanted);
  const auto values = numbers_of(*table);
  const std::size_t most = values.size() / 7, count = rest.empty() ? most : row_count(*rest[0], most);
  Candidates found;
  for (std::size_t i = 0; i < count && values[i * 7] >= 0; ++i) {
    const float* row = &values[i * 7];
    IE_CHECK(take({{row[3], row[4], row[5], row[6]}, row[2], row[1]}, input, found));
  }
  return found;
}

}  // namespace image_engine::vision
