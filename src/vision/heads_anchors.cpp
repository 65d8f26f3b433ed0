// Heads that shift and scale anchors: yolo_anchors, anchors.
#include <algorithm>
#include <cmath>
#include <limits>

#include "vision/heads_parts.h"

namespace image_engine::vision {
namespace {

// The layout of a level's numbers: anchor, cell and number times their strides.
struct Map {
  std::span<const float> values;
  std::size_t columns = 0, rows = 0;
  std::size_t per_anchor = 0, per_cell = 0, per_number = 0;

  [[nodiscard]] float at(std::size_t anchor, std::size_t cell, std::size_t number) const {
    return values[anchor * per_anchor + cell * per_cell + number * per_number];
  }
};

// A tensor as `width` numbers for each of `anchors` in each cell; nullopt for another shape.
std::optional<Map> map_of(const Tensor& tensor, std::size_t anchors, std::size_t width) {
  std::vector<std::size_t> shape;
  for (const std::int64_t n : tensor.shape) shape.push_back(static_cast<std::size_t>(n));
  const auto values = tensor.as<float>();
  const std::size_t all = anchors * width;
  if (shape.size() == 4 && shape[1] == all) {
    const std::size_t cells = shape[2] * shape[3];
    return Map{values, shape[3], shape[2], width * cells, 1, cells};
  }
  if (shape.size() == 4 && shape[3] == all) return Map{values, shape[2], shape[1], width, all, 1};
  if (shape.size() != 5 || shape[4] != width) return std::nullopt;
  if (shape[1] == anchors) return Map{values, shape[3], shape[2], shape[2] * shape[3] * width, width, 1};
  if (shape[3] == anchors) return Map{values, shape[2], shape[1], width, all, 1};
  return std::nullopt;
}

std::size_t level_count(const HeadOptions& options) {
  return options.anchors.empty() ? options.sizes.size() : options.anchors.size();
}

std::vector<Extent> shapes_of(const HeadOptions& options, std::size_t level) {
  if (!options.anchors.empty()) return options.anchors[level];
  std::vector<Extent> shapes;
  const auto add = [&](float scale, Extent ratio) {
    const float size = options.sizes[level] * scale;
    shapes.push_back({size * ratio.width, size * ratio.height});
  };
  if (options.order == AnchorOrder::kRatios) {
    for (const Extent ratio : options.ratios)
      for (const float scale : options.scales) add(scale, ratio);
  } else {
    for (const float scale : options.scales)
      for (const Extent ratio : options.ratios) add(scale, ratio);
  }
  return shapes;
}

struct Level {
  float step_x = 0, step_y = 0;
  std::vector<Extent> shapes;
};
Level level_of(const HeadInput& input, std::size_t level, const Map& map) {
  Level made{0, 0, shapes_of(input.options, level)};
  if (!input.options.strides.empty()) {
    made.step_x = made.step_y = input.options.strides[level];
  } else if (map.columns > 0 && map.rows > 0) {
    made.step_x = static_cast<float>(input.size.width) / static_cast<float>(map.columns);
    made.step_y = static_cast<float>(input.size.height) / static_cast<float>(map.rows);
  }
  return made;
}

// The largest, the finest level, first.
void sort_levels(std::vector<const Tensor*>& tensors) {
  std::ranges::stable_sort(tensors, std::ranges::greater(), [](const Tensor* tensor) { return tensor->count(); });
}

// --- yolo_anchors ---

constexpr std::size_t kBeforeClasses = 5;

BoxCandidate yolo_box(const Map& map, std::size_t anchor, std::size_t cell, const Level& level, float scale_xy,
                      Growth growth, const Best& best) {
  const auto place = [&](std::size_t at, std::size_t n, float step) {
    return (static_cast<float>(at) + (sigmoid(map.at(anchor, cell, n)) - 0.5F) * scale_xy + 0.5F) * step;
  };
  const auto grown = [&](float size, std::size_t n) {
    const float value = map.at(anchor, cell, n);
    if (growth == Growth::kExponential) return size * std::exp(std::min(value, kMostGrowth));
    const float twice = 2 * sigmoid(value);
    return size * twice * twice;
  };
  const Extent& shape = level.shapes[anchor];
  return from_centre(place(cell % map.columns, 0, level.step_x), place(cell / map.columns, 1, level.step_y),
                     grown(shape.width, 2), grown(shape.height, 3), best);
}

void read_yolo_level(const Map& map, const Level& level, float scale_xy, const HeadInput& input, Candidates& found) {
  const auto activated = [&](float value) {
    return input.options.activation == Activation::kNone ? value : sigmoid(value);
  };
  for (std::size_t cell = 0; cell < map.columns * map.rows; ++cell)
    for (std::size_t anchor = 0; anchor < level.shapes.size(); ++anchor) {
      const float objectness = activated(map.at(anchor, cell, kBeforeClasses - 1));
      if (objectness < input.options.threshold) continue;
      Best best{0, map.at(anchor, cell, kBeforeClasses)};
      for (std::size_t c = 1; c < input.classes; ++c)
        if (const float value = map.at(anchor, cell, kBeforeClasses + c); value > best.value)
          best = {static_cast<std::uint32_t>(c), value};
      best.value = activated(best.value) * objectness;
      if (best.value >= input.options.threshold)
        found.push_back(yolo_box(map, anchor, cell, level, scale_xy, input.options.growth, best));
    }
}

// --- anchors ---

BoxCandidate moved(const Map& offsets, std::size_t anchor, std::size_t cell, const Level& level,
                   const HeadOptions& options) {
  const Extent& shape = level.shapes[anchor];
  const std::size_t x = options.axes == Axes::kXy ? 0 : 1, y = 1 - x;
  const auto offset = [&](std::size_t from, std::size_t n) {
    return offsets.at(anchor, cell, from) * options.variances[n];
  };
  const std::size_t column = cell % offsets.columns, row = cell / offsets.columns;
  const float left = (static_cast<float>(column) + options.centre) * level.step_x;
  const float top = (static_cast<float>(row) + options.centre) * level.step_y;
  return from_centre(left + offset(x, 0) * shape.width, top + offset(y, 1) * shape.height,
                     shape.width * std::exp(std::min(offset(2 + x, 2), kMostGrowth)),
                     shape.height * std::exp(std::min(offset(2 + y, 3), kMostGrowth)), {});
}

// The least logit that reaches the threshold, slightly lowered for rounding.
float least_logit(const HeadOptions& options) {
  if (options.activation != Activation::kSigmoid) return -std::numeric_limits<float>::infinity();
  return std::log(options.threshold / (1 - options.threshold)) - 1e-3F;
}

void read_level(const Map& scores, const Map& offsets, const Level& level, const HeadInput& input, Candidates& found) {
  const HeadOptions& options = input.options;
  const std::size_t first = options.background == Background::kFirst ? 1 : 0;
  const std::size_t width = input.classes + (options.background == Background::kNone ? 0 : 1);
  const float least = least_logit(options);
  for (std::size_t cell = 0; cell < scores.columns * scores.rows; ++cell)
    for (std::size_t anchor = 0; anchor < level.shapes.size(); ++anchor) {
      float highest = 0, sum = 1;
      if (options.activation == Activation::kSoftmax) {
        highest = scores.at(anchor, cell, 0), sum = 0;
        for (std::size_t c = 1; c < width; ++c) highest = std::max(highest, scores.at(anchor, cell, c));
        for (std::size_t c = 0; c < width; ++c) sum += std::exp(scores.at(anchor, cell, c) - highest);
      }
      for (std::size_t c = 0; c < input.classes; ++c) {
        const float value = scores.at(anchor, cell, first + c);
        if (value < least) continue;
        const float confidence = options.activation == Activation::kSoftmax   ? std::exp(value - highest) / sum
                                 : options.activation == Activation::kSigmoid ? sigmoid(value)
                                                                              : value;
        if (confidence < options.threshold) continue;
        BoxCandidate candidate = moved(offsets, anchor, cell, level, options);
        candidate.confidence = confidence, candidate.label = static_cast<std::uint32_t>(c);
        found.push_back(candidate);
      }
    }
}

constexpr std::string_view kWanted =
    "classes and offsets of each level, [1,a*classes,h,w] and [1,a*4,h,w], or all in one, [1,n,classes] and [1,n,4]";

// All levels one after the other in [1, n, …].
Result<Candidates> read_joined(const HeadInput& input, std::size_t width) {
  const auto pair = pair_up(input.outputs[0], input.outputs[1], 4);
  if (!pair || !same_positions(*pair->scores, *pair->boxes, 3)) return unlike("anchors", kWanted);
  IE_CHECK(
      check_classes(last_dimension(*pair->scores) - static_cast<std::int64_t>(width - input.classes), input.classes));
  const HeadOptions& options = input.options;
  if (options.strides.empty())
    return fail(ErrorCode::kInvalidArgument, "all levels in one output need the option strides");
  const auto scores = pair->scores->as<float>(), offsets = pair->boxes->as<float>();
  const std::size_t given = offsets.size() / 4;
  std::vector<std::pair<Map, Level>> levels;
  std::size_t defined = 0;
  for (std::size_t i = 0; i < level_count(options); ++i) {
    Map map;
    map.columns = static_cast<std::size_t>(std::ceil(static_cast<float>(input.size.width) / options.strides[i]));
    map.rows = static_cast<std::size_t>(std::ceil(static_cast<float>(input.size.height) / options.strides[i]));
    levels.emplace_back(map, level_of(input, i, map));
    defined += map.columns * map.rows * levels.back().second.shapes.size();
  }
  if (defined != given)
    return fail(ErrorCode::kInvalidArgument,
                "the model has " + std::to_string(given) + " boxes, its spec's anchors are " + std::to_string(defined));
  Candidates found;
  std::size_t begin = 0;
  for (const auto& [map, level] : levels) {
    const std::size_t anchors = level.shapes.size();
    Map of_scores = map, of_offsets = map;
    of_scores.values = scores.subspan(begin * width);
    of_scores.per_anchor = width, of_scores.per_cell = anchors * width, of_scores.per_number = 1;
    of_offsets.values = offsets.subspan(begin * 4);
    of_offsets.per_anchor = 4, of_offsets.per_cell = anchors * 4, of_offsets.per_number = 1;
    read_level(of_scores, of_offsets, level, input, found);
    begin += map.columns * map.rows * anchors;
  }
  return found;
}

bool fits_a_level(const Tensor& tensor, const HeadOptions& options, std::size_t width) {
  for (std::size_t i = 0; i < level_count(options); ++i)
    if (map_of(tensor, shapes_of(options, i).size(), width)) return true;
  return false;
}

Result<Candidates> read_maps(const HeadInput& input, std::size_t width) {
  const std::size_t levels = level_count(input.options);
  std::vector<const Tensor*> scores, offsets;
  for (const Tensor& tensor : input.outputs) {
    const bool second_half = static_cast<std::size_t>(&tensor - input.outputs.data()) >= levels;
    const bool is_offsets = width == 4 ? second_half : fits_a_level(tensor, input.options, 4);
    const bool is_scores = width == 4 ? !second_half : fits_a_level(tensor, input.options, width);
    if (is_scores == is_offsets) return unlike("anchors", kWanted);
    (is_scores ? scores : offsets).push_back(&tensor);
  }
  if (scores.size() != levels || offsets.size() != levels) return unlike("anchors", kWanted);
  sort_levels(scores), sort_levels(offsets);
  Candidates found;
  for (std::size_t i = 0; i < levels; ++i) {
    const std::size_t anchors = shapes_of(input.options, i).size();
    const auto of_scores = map_of(*scores[i], anchors, width), of_offsets = map_of(*offsets[i], anchors, 4);
    if (!of_scores || !of_offsets || of_scores->columns != of_offsets->columns || of_scores->rows != of_offsets->rows)
      return unlike("anchors", kWanted);
    read_level(*of_scores, *of_offsets, level_of(input, i, *of_scores), input, found);
  }
  return found;
}

}  // namespace

Status check_anchor_options(const HeadOptions& options) {
  const auto refuse = [](const char* what) { return fail(ErrorCode::kInvalidArgument, what); };
  if (options.anchors.empty() == options.sizes.empty())
    return refuse("its options must define its anchors, by either anchors or sizes");
  const std::size_t levels = level_count(options);
  if (!options.strides.empty() && options.strides.size() != levels)
    return refuse("option strides must have one number for each level of anchors");
  if (options.scale_xy.size() != 1 && options.scale_xy.size() != levels)
    return refuse("option scale_xy must have one number, or one for each level of anchors");
  return {};
}

Result<Candidates> read_yolo_anchors(const HeadInput& input) {
  const HeadOptions& options = input.options;
  const std::size_t levels = options.anchors.size();
  if (input.outputs.size() != levels)
    return unlike("yolo_anchors", std::to_string(levels) + " maps, one for each level of anchors");
  std::vector<const Tensor*> maps;
  for (const Tensor& tensor : input.outputs) maps.push_back(&tensor);
  sort_levels(maps);
  Candidates found;
  for (std::size_t i = 0; i < levels; ++i) {
    const auto map = map_of(*maps[i], options.anchors[i].size(), kBeforeClasses + input.classes);
    if (!map)
      return unlike("yolo_anchors", "[1,a*(5+classes),h,w], with " + std::to_string(options.anchors[i].size()) +
                                        " anchors and " + std::to_string(input.classes) + " labels");
    read_yolo_level(*map, level_of(input, i, *map), options.scale_xy[options.scale_xy.size() > 1 ? i : 0], input,
                    found);
  }
  return found;
}

Result<Candidates> read_anchors(const HeadInput& input) {
  const std::size_t width = input.classes + (input.options.background == Background::kNone ? 0 : 1);
  if (input.outputs.size() == 2 && input.outputs[0].shape.size() == 3) return read_joined(input, width);
  if (input.outputs.size() != 2 * level_count(input.options)) return unlike("anchors", kWanted);
  return read_maps(input, width);
}

}  // namespace image_engine::vision
