// Deformable attention over several levels, as exporters write it with GridSample: one node of an operator of ours.
#include <algorithm>

#include "graph/chains.h"
#include "graph/channels_last.h"
#include "graph/fusions.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

struct Sampling {
  std::string rows, points, weights, result;
  std::vector<std::int64_t> levels;
};

// The node that makes the tensor, before changes between float32 and float16.
const Node* uncast_maker(const Net& net, const std::string& name, Ops ops) {
  const Node* cast = net.maker(name, {"Cast"});
  return net.maker(cast != nullptr ? cast->input(0) : name, ops);
}

// The input of the Transpose by these numbers, whose result a Reshape gives another shape; else null.
const std::string* laid_out(const Net& net, const std::string& name, const std::vector<std::int64_t>& permutation) {
  const Node* reshape = uncast_maker(net, name, {"Reshape"});
  return reshape != nullptr ? transposed_by(net, reshape->input(0), permutation) : nullptr;
}

// Known sizes, −1 for others; of another rank: empty.
std::vector<std::int64_t> sides_of(const Net& net, const std::string& name, std::size_t rank) {
  const Shape* shape = net.shape(name);
  std::vector<std::int64_t> sides;
  if (shape == nullptr || shape->size() != rank) return sides;
  for (const Dimension& side : *shape) sides.push_back(side.is_known() ? side.size : -1);
  return sides;
}

// Counted from the first dimension of `rank`, or from behind the last.
bool is_axis(double given, int wanted, int rank) { return given == wanted || given == wanted - rank; }

// Adds a level to `found`: what GridSample number `i` samples. False where it is another form.
bool add_level(const Net& net, const std::string& name, int i, std::string& points, Sampling& found) {
  const Node* grid = uncast_maker(net, name, {"GridSample"});
  if (grid == nullptr || int_attribute(*grid, "align_corners", 0) != 0) return false;
  const onnx::AttributeProto *mode = find_attribute(*grid, "mode"), *padding = find_attribute(*grid, "padding_mode");
  if ((mode != nullptr && mode->s() != "bilinear" && mode->s() != "linear") ||
      (padding != nullptr && padding->s() != "zeros"))
    return false;
  const Node* split = uncast_maker(net, grid->input(1), {"Split"});
  if (split == nullptr || !is_axis(static_cast<double>(int_attribute(*split, "axis", 0)), 2, 4) ||
      i >= split->output_size())
    return false;
  const Node* cast = net.maker(grid->input(1), {"Cast"});
  if ((cast != nullptr ? cast->input(0) : grid->input(1)) != split->output(i)) return false;
  const std::string* all_points = laid_out(net, split->input(0), {0, 2, 1, 3, 4});
  const Node* picture = uncast_maker(net, grid->input(0), {"Reshape"});
  const Node* slice = picture != nullptr ? net.maker(picture->input(0), {"Slice"}) : nullptr;
  if (all_points == nullptr || slice == nullptr || slice->input_size() < 4) return false;
  const std::string* by_head = laid_out(net, slice->input(0), {0, 2, 3, 1});
  const Node* heads = by_head != nullptr ? net.maker(*by_head, {"Reshape"}) : nullptr;
  const auto first = net.scalar(slice->input(1)), axis = net.scalar(slice->input(3));
  const auto step = slice->input_size() > 4 ? net.scalar(slice->input(4)) : std::optional(1.0);
  const auto plane = sides_of(net, grid->input(0), 4), of_level = sides_of(net, grid->input(1), 4);
  if (heads == nullptr || !first || !axis || !is_axis(*axis, 2, 3) || step != 1.0 || plane.empty() || of_level.empty())
    return false;
  const auto all = sides_of(net, slice->input(0), 3), spread = sides_of(net, *all_points, 5),
             by_heads = sides_of(net, heads->output(0), 4);
  if (all.empty() || spread.empty() || by_heads.empty() || by_heads[1] != all[2] || by_heads[2] != spread[2] ||
      by_heads[3] != all[1] || plane[1] != all[1] || of_level[1] != spread[1])
    return false;
  constexpr double kMostRows = 1 << 20;
  if (*first < 0 || *first > kMostRows || std::min({plane[2], plane[3], of_level[2]}) <= 0) return false;
  if (i > 0 && (heads->input(0) != found.rows || *all_points != points)) return false;
  found.rows = heads->input(0);
  points = *all_points;
  found.levels.insert(found.levels.end(), {static_cast<std::int64_t>(*first), plane[2], plane[3], of_level[2]});
  return true;
}

// Whether all inputs have the shapes that the operator takes.
bool fits(const Net& net, const Sampling& found) {
  const auto rows = sides_of(net, found.rows, 3), points = sides_of(net, found.points, 5),
             weights = sides_of(net, found.weights, 4), result = sides_of(net, found.result, 3);
  if (rows.empty() || points.empty() || weights.empty() || result.empty()) return false;
  if (points[2] <= 0 || points[4] != 2 || weights[2] != points[2] || weights[3] != points[3] || result[2] != rows[2])
    return false;
  std::int64_t all = 0;
  for (std::size_t i = 3; i < found.levels.size(); i += 4) all += found.levels[i];
  return all == points[3] && rows[2] > 0 && rows[2] % (points[2] * kDeformableChannels) == 0 &&
         found.levels.size() <= std::size_t{4} * kMostDeformableLevels && points[1] == result[1] &&
         weights[1] == points[1] && is_real(net.kind(found.points)) && is_real(net.kind(found.weights)) &&
         is_real(net.kind(found.rows)) && is_real(net.kind(found.result));
}

// That ends in the sum over points.
std::optional<Sampling> sampling(const Net& net, const Node& sum) {
  const Node* reshape = net.only(sum.output(0)) ? net.user(sum.output(0), {"Reshape"}) : nullptr;
  const Node* transpose =
      reshape != nullptr && net.only(reshape->output(0)) ? net.user(reshape->output(0), {"Transpose"}) : nullptr;
  const Node* product = net.only(sum.input(0)) ? net.maker(sum.input(0), {"Mul"}) : nullptr;
  if (transpose == nullptr || product == nullptr || int_attribute(sum, "keepdims", 1) != 0) return std::nullopt;
  const auto axis = sum.input_size() > 1 ? net.scalar(sum.input(1)) : std::nullopt;
  if (!axis || !is_axis(*axis, 3, 4) || transposed_by(net, transpose->output(0), {0, 2, 1}) == nullptr)
    return std::nullopt;
  for (const int i : {0, 1}) {
    const Node* joined = net.maker(product->input(i), {"Concat"});
    const std::string* weights = laid_out(net, product->input(1 - i), {0, 2, 1, 3});
    const auto factors = sides_of(net, product->input(1 - i), 4);
    if (joined == nullptr || weights == nullptr || factors.empty() || factors[1] != 1) continue;
    if (!is_axis(static_cast<double>(int_attribute(*joined, "axis", 0)), 3, 4)) continue;
    Sampling found{.weights = *weights, .result = transpose->output(0)};
    bool all = true;
    for (int level = 0; level < joined->input_size() && all; ++level)
      all = add_level(net, joined->input(level), level, found.points, found);
    if (all && fits(net, found)) return found;
  }
  return std::nullopt;
}

}  // namespace

int fuse_deformable(Net& net) {
  std::vector<Sampling> found;
  for (const Node* node : net.nodes("ReduceSum"))
    if (auto one = sampling(net, *node)) found.push_back(std::move(*one));
  for (const Sampling& one : found) {
    const bool is_half = net.kind(one.result) == onnx::TensorProto::FLOAT16;
    const Shape shape = *net.shape(one.result);
    net.add(is_half ? kDeformableHalf : kDeformableFull, {one.rows, one.points, one.weights},
            {.outputs = {one.result},
             .domain = kOwnDomain,
             .shape = shape,
             .attributes = {{.name = kDeformableLevels, .list = one.levels}}});
  }
  net.clean();
  return static_cast<int>(found.size());
}

}  // namespace image_engine::graph
