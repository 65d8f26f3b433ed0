#include "vision/heads.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

namespace image_engine::vision {
namespace {

using Candidates = std::vector<Candidate>;

std::int64_t last_dimension(const Tensor& tensor) { return tensor.shape.empty() ? 0 : tensor.shape.back(); }

tl::unexpected<Error> unlike(std::string_view head, std::string_view wanted) {
  return fail(ErrorCode::kCorrupt, "outputs are not those of a " + std::string(head) + " head: " + std::string(wanted));
}

Status check_classes(std::int64_t found, std::size_t labels) {
  if (found == static_cast<std::int64_t>(labels)) return {};
  return fail(ErrorCode::kInvalidArgument, "the model tells " + std::to_string(found) + " classes, its spec has " +
                                               std::to_string(labels) + " labels");
}

// Scores and the boxes that belong to them, whose last dimension is `sides`.
struct Pair {
  const Tensor* scores = nullptr;
  const Tensor* boxes = nullptr;
};
std::optional<Pair> pair_up(const Tensor& first, const Tensor& second, std::int64_t sides) {
  if (last_dimension(second) == sides) return Pair{&first, &second};
  if (last_dimension(first) == sides) return Pair{&second, &first};
  return std::nullopt;
}

bool same_places(const Tensor& a, const Tensor& b, std::size_t rank) {
  return a.shape.size() == rank && b.shape.size() == rank &&
         std::equal(a.shape.begin(), a.shape.end() - 1, b.shape.begin());
}

struct Best {
  std::uint32_t label = 0;
  float value = 0;
};
// Of at least one value; the first of equals.
Best best_of(std::span<const float> values) {
  const auto found = std::ranges::max_element(values);
  return {static_cast<std::uint32_t>(found - values.begin()), *found};
}

std::span<const float> row_of(std::span<const float> values, std::size_t row, std::size_t width) {
  return values.subspan(row * width, width);
}

// --- nanodet ---

constexpr std::size_t kBins = 11;
constexpr std::array<std::uint32_t, 5> kStrides = {8, 16, 32, 64, 128};

struct Grid {
  std::uint32_t stride = 0;
  std::size_t columns = 0, rows = 0;
};
std::optional<Grid> grid_of(std::int64_t cells, preprocess::InputSize size) {
  for (const std::uint32_t stride : kStrides) {
    const Grid grid{stride, (size.width + stride - 1) / stride, (size.height + stride - 1) / stride};
    if (static_cast<std::int64_t>(grid.columns * grid.rows) == cells) return grid;
  }
  return std::nullopt;
}

float expected_bin(std::span<const float> logits) {
  const float highest = std::ranges::max(logits);
  float sum = 0, weighed = 0;
  for (std::size_t k = 0; k < kBins; ++k) {
    const float weight = std::exp(logits[k] - highest);
    sum += weight;
    weighed += weight * static_cast<float>(k);
  }
  return weighed / sum;
}

// The cell's box, kept within the input.
Candidate box_of(const Grid& grid, std::size_t cell, std::span<const float> distances, preprocess::InputSize size) {
  const auto stride = static_cast<float>(grid.stride);
  std::array<float, 4> side;
  for (std::size_t i = 0; i < 4; ++i) side[i] = stride * expected_bin(row_of(distances, cell * 4 + i, kBins));
  const std::size_t column = cell % grid.columns, row = cell / grid.columns;
  const float x = (static_cast<float>(column) + 0.5F) * stride, y = (static_cast<float>(row) + 0.5F) * stride;
  const auto width = static_cast<float>(size.width), height = static_cast<float>(size.height);
  return {std::clamp(x - side[0], 0.0F, width), std::clamp(y - side[1], 0.0F, height),
          std::clamp(x + side[2], 0.0F, width), std::clamp(y + side[3], 0.0F, height)};
}

void read_grid(const Grid& grid, const Pair& pair, const HeadInput& input, Candidates& found) {
  const auto scores = pair.scores->as<float>(), distances = pair.boxes->as<float>();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] < input.options.threshold) continue;
    Candidate candidate = box_of(grid, i / input.classes, distances, input.size);
    candidate.confidence = scores[i];
    candidate.label = static_cast<std::uint32_t>(i % input.classes);
    found.push_back(candidate);
  }
}

Result<Candidates> read_nanodet(const HeadInput& input) {
  constexpr std::string_view kWanted = "scores [1,n,classes] and distances [1,n,44] of each stride";
  if (input.outputs.size() < 4 || input.outputs.size() % 2 != 0) return unlike("nanodet", kWanted);
  std::vector<const Tensor*> left;
  for (const Tensor& tensor : input.outputs) left.push_back(&tensor);
  Candidates found;
  while (!left.empty()) {
    const Tensor& first = *left.front();
    const auto partner = std::find_if(left.begin() + 1, left.end(), [&](const Tensor* other) {
      return same_places(first, *other, 3) && pair_up(first, *other, 4 * kBins);
    });
    if (partner == left.end()) return unlike("nanodet", kWanted);
    const Pair pair = *pair_up(first, **partner, 4 * kBins);
    IE_CHECK(check_classes(last_dimension(*pair.scores), input.classes));
    const auto grid = grid_of(first.shape[1], input.size);
    if (!grid) return unlike("nanodet", std::to_string(first.shape[1]) + " cells belong to no stride");
    read_grid(*grid, pair, input, found);
    left.erase(partner);
    left.erase(left.begin());
  }
  return found;
}

// --- centernet ---

// Whether no neighbour of the cell is higher in this class.
bool is_peak(std::span<const float> heat, std::size_t x, std::size_t y, std::size_t label, const Grid& grid,
             std::size_t classes) {
  const float here = heat[(y * grid.columns + x) * classes + label];
  for (std::size_t v = y - std::min<std::size_t>(y, 1); v <= std::min(y + 1, grid.rows - 1); ++v)
    for (std::size_t u = x - std::min<std::size_t>(x, 1); u <= std::min(x + 1, grid.columns - 1); ++u)
      if (heat[(v * grid.columns + u) * classes + label] > here) return false;
  return true;
}

Result<Candidates> read_centernet(const HeadInput& input) {
  constexpr std::string_view kWanted = "heat [1,h,w,classes] and sides [1,h,w,4]";
  if (input.outputs.size() != 2) return unlike("centernet", kWanted);
  const auto pair = pair_up(input.outputs[0], input.outputs[1], 4);
  if (!pair || !same_places(*pair->scores, *pair->boxes, 4)) return unlike("centernet", kWanted);
  IE_CHECK(check_classes(last_dimension(*pair->scores), input.classes));
  const auto heat = pair->scores->as<float>(), sides = pair->boxes->as<float>();
  const Grid grid{0, static_cast<std::size_t>(pair->scores->shape[2]),
                  static_cast<std::size_t>(pair->scores->shape[1])};
  const float step_x = static_cast<float>(input.size.width) / static_cast<float>(grid.columns);
  const float step_y = static_cast<float>(input.size.height) / static_cast<float>(grid.rows);
  Candidates found;
  for (std::size_t i = 0; i < heat.size(); ++i) {
    if (heat[i] < input.options.threshold) continue;
    const std::size_t cell = i / input.classes, label = i % input.classes;
    const std::size_t column = cell % grid.columns, row = cell / grid.columns;
    if (!is_peak(heat, column, row, label, grid, input.classes)) continue;
    const float x = static_cast<float>(column) * step_x, y = static_cast<float>(row) * step_y;
    const auto side = row_of(sides, cell, 4);
    found.push_back({x - side[0], y - side[1], x + side[2], y + side[3], heat[i], static_cast<std::uint32_t>(label)});
  }
  return found;
}

// --- queries, yolo ---

Candidate from_centre(float x, float y, float width, float height, const Best& best) {
  return {x - width / 2, y - height / 2, x + width / 2, y + height / 2, best.value, best.label};
}

// The best class, but for softmax's last, and its confidence.
Best best_class(std::span<const float> logits, Activation activation) {
  if (activation == Activation::kSigmoid) {
    const Best best = best_of(logits);
    return {best.label, 1 / (1 + std::exp(-best.value))};
  }
  const Best best = best_of(logits.first(logits.size() - 1));
  const float highest = std::ranges::max(logits);
  float sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  return {best.label, std::exp(best.value - highest) / sum};
}

Result<Candidates> read_queries(const HeadInput& input) {
  constexpr std::string_view kWanted = "logits [1,q,classes] and boxes [1,q,4]";
  if (input.outputs.size() != 2) return unlike("queries", kWanted);
  const auto pair = pair_up(input.outputs[0], input.outputs[1], 4);
  if (!pair || !same_places(*pair->scores, *pair->boxes, 3)) return unlike("queries", kWanted);
  const auto width = static_cast<std::size_t>(last_dimension(*pair->scores));
  const std::size_t without = input.options.activation == Activation::kSoftmax ? 1 : 0;
  IE_CHECK(check_classes(static_cast<std::int64_t>(width) - static_cast<std::int64_t>(without), input.classes));
  const auto logits = pair->scores->as<float>(), boxes = pair->boxes->as<float>();
  const auto columns = static_cast<float>(input.size.width), rows = static_cast<float>(input.size.height);
  Candidates found;
  for (std::size_t query = 0; query < boxes.size() / 4; ++query) {
    const Best best = best_class(row_of(logits, query, width), input.options.activation);
    if (best.value < input.options.threshold) continue;
    const auto box = row_of(boxes, query, 4);
    found.push_back(from_centre(box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows, best));
  }
  return found;
}

Result<Candidates> read_yolo(const HeadInput& input) {
  if (input.outputs.size() != 1 || input.outputs[0].shape.size() != 3) return unlike("yolo", "[1,4+classes,n]");
  const auto& shape = input.outputs[0].shape;
  IE_CHECK(check_classes(shape[1] - 4, input.classes));
  const auto values = input.outputs[0].as<float>();
  const auto count = static_cast<std::size_t>(shape[2]);
  Candidates found;
  for (std::size_t i = 0; i < count; ++i) {
    Best best{0, values[4 * count + i]};
    for (std::size_t c = 1; c < input.classes; ++c)
      if (const float score = values[(4 + c) * count + i]; score > best.value)
        best = {static_cast<std::uint32_t>(c), score};
    if (best.value < input.options.threshold) continue;
    found.push_back(from_centre(values[i], values[count + i], values[2 * count + i], values[3 * count + i], best));
  }
  return found;
}

constexpr HeadKind kHeads[] = {
    {"nanodet", {}, read_nanodet},
    {"centernet", {}, read_centernet},
    {"queries", {.threshold = 0.5F, .nms = 1}, read_queries},
    {"yolo", {.nms = 0.7F}, read_yolo},
};

constexpr std::pair<std::string_view, Activation> kActivations[] = {{"sigmoid", Activation::kSigmoid},
                                                                    {"softmax", Activation::kSoftmax}};
constexpr std::string_view kOptionNames[] = {"threshold", "nms", "most", "activation"};

Result<double> in_range(const models::Spec& spec, const char* name, double otherwise, double least, double greatest) {
  IE_TRY(const double value, models::number_option(spec, name, otherwise));
  if (value >= least && value <= greatest) return value;
  return fail(ErrorCode::kInvalidArgument, "model " + spec.name + ": option " + name + " is not within " +
                                               std::to_string(static_cast<int>(least)) + "…" +
                                               std::to_string(static_cast<int>(greatest)));
}

template <typename Names>
std::string list_of(const Names& names, auto name_of) {
  std::string text;
  for (const auto& entry : names) text.append(text.empty() ? "" : ", ").append(name_of(entry));
  return text;
}

double area(const Candidate& c) { return std::max(0.0, double{c.x2} - c.x1) * std::max(0.0, double{c.y2} - c.y1); }

double overlap(const Candidate& a, const Candidate& b) {
  const Candidate common{std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2), std::min(a.y2, b.y2)};
  const double shared = area(common), all = area(a) + area(b) - shared;
  return all > 0 ? shared / all : 0;
}

}  // namespace

std::span<const HeadKind> head_kinds() { return kHeads; }

Result<const HeadKind*> find_head(const models::Spec& spec) {
  for (const HeadKind& head : kHeads)
    if (head.name == spec.head) return &head;
  return fail(ErrorCode::kInvalidArgument, "model " + spec.name + ": no head '" + spec.head + "'; there are: " +
                                               list_of(kHeads, [](const HeadKind& head) { return head.name; }));
}

Result<HeadOptions> read_options(const models::Spec& spec, const HeadKind& head) {
  const auto refuse = [&](const std::string& what) {
    return fail(ErrorCode::kInvalidArgument, "model " + spec.name + ": " + what);
  };
  for (const auto& [name, value] : spec.head_options)
    if (std::ranges::find(kOptionNames, name) == std::end(kOptionNames))
      return refuse("no option '" + name +
                    "' of a head; there are: " + list_of(kOptionNames, [](std::string_view known) { return known; }));
  HeadOptions options = head.defaults;
  IE_TRY(const double threshold, in_range(spec, "threshold", double{options.threshold}, 0, 1));
  IE_TRY(const double nms, in_range(spec, "nms", double{options.nms}, 0, 1));
  IE_TRY(const double most, in_range(spec, "most", static_cast<double>(options.most), 1, kMostObjects));
  options.threshold = static_cast<float>(threshold);
  options.nms = static_cast<float>(nms);
  options.most = static_cast<std::size_t>(most);
  if (const auto named = spec.head_options.find("activation"); named != spec.head_options.end()) {
    const auto known = std::ranges::find(kActivations, named->second, [](const auto& entry) { return entry.first; });
    if (known == std::end(kActivations)) return refuse("activation is neither sigmoid nor softmax");
    options.activation = known->second;
  }
  return options;
}

std::vector<Candidate> suppress(std::vector<Candidate> candidates, float iou, std::size_t most) {
  std::ranges::stable_sort(candidates, std::ranges::greater(), &Candidate::confidence);
  std::vector<Candidate> kept;
  for (const Candidate& candidate : candidates) {
    if (kept.size() >= most) break;
    const bool covered = std::ranges::any_of(kept, [&](const Candidate& better) {
      return better.label == candidate.label && overlap(better, candidate) > double{iou};
    });
    if (!covered) kept.push_back(candidate);
  }
  return kept;
}

}  // namespace image_engine::vision
