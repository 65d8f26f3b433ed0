// Heads with one position per grid cell: nanodet, centernet, centerface, detectnet.
#include <algorithm>
#include <array>
#include <utility>

#include "vision/heads_parts.h"

namespace image_engine::vision {
namespace {

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

// The cell's box, clipped to the input.
BoxCandidate box_of(const Grid& grid, std::size_t cell, std::span<const float> distances, preprocess::InputSize size) {
  const auto stride = static_cast<float>(grid.stride);
  std::array<float, 4> side;
  for (std::size_t i = 0; i < 4; ++i) side[i] = stride * expected_bin(row_of(distances, cell * 4 + i, kBins));
  const std::size_t column = cell % grid.columns, row = cell / grid.columns;
  const float x = (static_cast<float>(column) + 0.5F) * stride, y = (static_cast<float>(row) + 0.5F) * stride;
  const auto width = static_cast<float>(size.width), height = static_cast<float>(size.height);
  return {std::clamp(x - side[0], 0.0F, width), std::clamp(y - side[1], 0.0F, height),
          std::clamp(x + side[2], 0.0F, width), std::clamp(y + side[3], 0.0F, height)};
}

void read_grid(const Grid& grid, const ScoredBoxes& pair, const HeadInput& input, Candidates& found) {
  const auto scores = pair.scores->as<float>(), distances = pair.boxes->as<float>();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] < input.options.threshold) continue;
    BoxCandidate candidate = box_of(grid, i / input.classes, distances, input.size);
    candidate.confidence = scores[i];
    candidate.label = static_cast<std::uint32_t>(i % input.classes);
    found.push_back(candidate);
  }
}

}  // namespace

Result<Candidates> read_nanodet(const HeadInput& input) {
  constexpr std::string_view kWanted = "scores [1,n,classes] and distances [1,n,44] of each stride";
  if (input.outputs.size() < 4 || input.outputs.size() % 2 != 0) return unlike("nanodet", kWanted);
  std::vector<const Tensor*> left;
  for (const Tensor& tensor : input.outputs) left.push_back(&tensor);
  Candidates found;
  while (!left.empty()) {
    const Tensor& first = *left.front();
    const auto partner = std::find_if(left.begin() + 1, left.end(), [&](const Tensor* other) {
      return same_positions(first, *other, 3) && pair_up(first, *other, 4 * kBins);
    });
    if (partner == left.end()) return unlike("nanodet", kWanted);
    const ScoredBoxes pair = *pair_up(first, **partner, 4 * kBins);
    IE_CHECK(check_classes(last_dimension(*pair.scores), input.classes));
    const auto grid = grid_of(first.shape[1], input.size);
    if (!grid) return unlike("nanodet", std::to_string(first.shape[1]) + " cells match no stride");
    read_grid(*grid, pair, input, found);
    left.erase(partner);
    left.erase(left.begin());
  }
  return found;
}

namespace {

// Whether no neighbour of the cell is higher in this class.
bool is_peak(std::span<const float> heat, std::size_t x, std::size_t y, std::size_t label, const Grid& grid,
             std::size_t classes) {
  const float here = heat[(y * grid.columns + x) * classes + label];
  for (std::size_t v = y - std::min<std::size_t>(y, 1); v <= std::min(y + 1, grid.rows - 1); ++v)
    for (std::size_t u = x - std::min<std::size_t>(x, 1); u <= std::min(x + 1, grid.columns - 1); ++u)
      if (heat[(v * grid.columns + u) * classes + label] > here) return false;
  return true;
}

}  // namespace

Result<Candidates> read_centernet(const HeadInput& input) {
  constexpr std::string_view kWanted = "heat [1,h,w,classes] and sides [1,h,w,4]";
  if (input.outputs.size() != 2) return unlike("centernet", kWanted);
  const auto pair = pair_up(input.outputs[0], input.outputs[1], 4);
  if (!pair || !same_positions(*pair->scores, *pair->boxes, 4)) return unlike("centernet", kWanted);
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

Result<Candidates> read_centerface(const HeadInput& input) {
  constexpr std::string_view kWanted = "heat [1,1,h,w], sizes [1,2,h,w] and offsets [1,2,h,w]";
  if (input.outputs.size() != 3 || input.outputs[0].shape.size() != 4) return unlike("centerface", kWanted);
  const auto& shape = input.outputs[0].shape;
  const std::vector<std::int64_t> two{1, 2, shape[2], shape[3]};
  if (shape[1] != 1 || input.outputs[1].shape != two || input.outputs[2].shape != two)
    return unlike("centerface", kWanted);
  IE_CHECK(check_classes(1, input.classes));
  const auto heat = input.outputs[0].as<float>(), sizes = input.outputs[1].as<float>(),
             offsets = input.outputs[2].as<float>();
  const std::size_t cells = heat.size(), columns = static_cast<std::size_t>(shape[3]);
  const auto width = static_cast<float>(input.size.width), height = static_cast<float>(input.size.height);
  const float across = width / static_cast<float>(shape[3]), down = height / static_cast<float>(shape[2]);
  Candidates found;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    if (heat[cell] < input.options.threshold) continue;
    const std::size_t row = cell / columns, column = cell % columns;
    const float y = (static_cast<float>(row) + offsets[cell] + 0.5F) * down;
    const float x = (static_cast<float>(column) + offsets[cells + cell] + 0.5F) * across;
    const float tall = down * std::exp(std::min(sizes[cell], kMostGrowth));
    const float wide = across * std::exp(std::min(sizes[cells + cell], kMostGrowth));
    const BoxCandidate box = from_centre(x, y, wide, tall, {0, heat[cell]});
    found.push_back({std::clamp(box.x1, 0.0F, width), std::clamp(box.y1, 0.0F, height), std::clamp(box.x2, 0.0F, width),
                     std::clamp(box.y2, 0.0F, height), box.confidence, 0});
  }
  return found;
}

Result<Candidates> read_detectnet(const HeadInput& input) {
  constexpr std::string_view kWanted = "confidences [1,classes,h,w] and boxes [1,4*classes,h,w]";
  if (input.outputs.size() != 2) return unlike("detectnet", kWanted);
  const Tensor *scores = &input.outputs[0], *boxes = &input.outputs[1];
  if (scores->shape.size() != 4 || boxes->shape.size() != 4) return unlike("detectnet", kWanted);
  if (scores->shape[1] > boxes->shape[1]) std::swap(scores, boxes);
  const auto &of_scores = scores->shape, &of_boxes = boxes->shape;
  if (of_boxes[1] != 4 * of_scores[1] || of_boxes[2] != of_scores[2] || of_boxes[3] != of_scores[3])
    return unlike("detectnet", kWanted);
  IE_CHECK(check_classes(of_scores[1], input.classes));
  const auto rows = static_cast<std::size_t>(of_scores[2]), columns = static_cast<std::size_t>(of_scores[3]);
  const std::size_t cells = rows * columns;
  if (cells == 0) return Candidates{};
  const std::size_t step_x = (input.size.width + columns - 1) / columns;
  const std::size_t step_y = (input.size.height + rows - 1) / rows;
  const auto confidences = scores->as<float>(), sides = boxes->as<float>();
  Candidates found;
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    if (confidences[i] < input.options.threshold) continue;
    const std::size_t label = i / cells, cell = i % cells;
    const std::size_t column = cell % columns, row = cell / columns;
    const float x = static_cast<float>(column * step_x) + 0.5F;
    const float y = static_cast<float>(row * step_y) + 0.5F;
    const auto side = [&](std::size_t n) { return sides[(label * 4 + n) * cells + cell] * input.options.bbox_norm; };
    found.push_back(
        {x - side(0), y - side(1), x + side(2), y + side(3), confidences[i], static_cast<std::uint32_t>(label)});
  }
  return found;
}

}  // namespace image_engine::vision
