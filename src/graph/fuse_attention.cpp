// softmax(q kᵀ · scale) v over heads as one operator.
#include <algorithm>

#include "graph/fusions.h"
#include "graph/linear.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

using Perm = std::vector<std::int64_t>;
const Perm kSwapMiddle{0, 2, 1, 3};
const Perm kKeysTurned{0, 2, 3, 1};

// Whether a Reshape keeps the last two dimensions, which are known.
bool keeps_last_two(const Shape* before, const Shape* after) {
  if (before == nullptr || after == nullptr || before->size() < 2 || after->size() < 2) return false;
  const Dimension &rows = (*after)[after->size() - 2], &columns = after->back();
  return rows.is_known() && columns.is_known() && (*before)[before->size() - 2] == rows && before->back() == columns;
}

std::optional<std::string> past_zeros(const Net& net, const Node& sum) {
  std::vector<std::string> rest;
  for (const std::string& x : sum.input())
    if (const Weights* weights = net.constant(x); weights == nullptr || has_nonzero(*weights)) rest.push_back(x);
  return rest.size() == 1 ? std::optional(rest[0]) : std::nullopt;
}

std::optional<Scaled> past_factor(const Net& net, const Node& node, double scale) {
  std::string x = node.input(0);
  std::optional<double> number = net.scalar(node.input(1));
  if (!number && node.op_type() == "Mul") {
    number = net.scalar(node.input(0));
    x = node.input(1);
  }
  if (!number || *number == 0) return std::nullopt;
  return Scaled{x, node.op_type() == "Mul" ? scale * *number : scale / *number};
}

// One step upwards of through(); nothing where it ends.
std::optional<Scaled> step_through(const Net& net, const Scaled& at) {
  const Node* node = net.maker(at.name, {"Mul", "Div", "Add", "Reshape", "Identity"});
  if (node == nullptr || !net.only(at.name)) return std::nullopt;
  if (node->op_type() == "Add") {
    const auto rest = past_zeros(net, *node);
    return rest ? std::optional(Scaled{*rest, at.scale}) : std::nullopt;
  }
  if (node->op_type() == "Reshape") {
    const Shape* before = net.shape(node->input(0));
    if (before == nullptr || before->size() < 3 || !keeps_last_two(before, net.shape(at.name))) return std::nullopt;
    return Scaled{node->input(0), at.scale};
  }
  if (node->op_type() == "Identity") return Scaled{node->input(0), at.scale};
  return past_factor(net, *node, at.scale);
}

// Upwards past factors, additions of zeros, and changes of shape that keep the last two dimensions.
Scaled through(const Net& net, const std::string& name, double scale) {
  Scaled at{name, scale};
  while (auto next = step_through(net, at)) at = std::move(*next);
  return at;
}

// Downwards past changes of shape that keep the last two dimensions.
std::string through_down(const Net& net, std::string name) {
  while (const Node* node = net.user(name, {"Reshape", "Identity"})) {
    if (!keeps_last_two(net.shape(name), net.shape(node->output(0)))) break;
    name = node->output(0);
  }
  return name;
}

// A tensor [batch, tokens, heads · size] that is split into heads, and the factor on the way.
struct Heads {
  std::string name;
  std::int64_t count = 0, size = 0;
  double scale = 1;
};

std::optional<Heads> split_heads(const Net& net, const std::string& name, double scale) {
  const Scaled split = through_factor(net, name, scale);
  const Node* reshaped = net.maker(split.name, {"Reshape"});
  if (reshaped == nullptr) return std::nullopt;
  const Shape *four = net.shape(split.name), *three = net.shape(reshaped->input(0));
  if (four == nullptr || three == nullptr || four->size() != 4 || three->size() != 3) return std::nullopt;
  const Dimension &count = (*four)[2], &size = (*four)[3], &width = (*three)[2];
  if (!count.is_known() || !size.is_known() || !width.is_known() || count.size * size.size != width.size)
    return std::nullopt;
  const Dimension &before = (*three)[1], &after = (*four)[1];
  if (before.is_known() && after.is_known() && before != after) return std::nullopt;
  return Heads{reshaped->input(0), count.size, size.size, split.scale};
}

std::optional<Heads> heads_of(const Net& net, const std::string& name, const Perm& order) {
  const Scaled at = through(net, name, 1);
  const Node* turned = net.maker(at.name, {"Transpose"});
  if (turned == nullptr) return std::nullopt;
  const Perm perm = ints_attribute(*turned, "perm");
  if (order == kKeysTurned && (perm == Perm{0, 1, 3, 2} || perm == Perm{0, 2, 1})) {
    auto found = heads_of(net, turned->input(0), kSwapMiddle);
    if (found) found->scale *= at.scale;
    return found;
  }
  if (perm != order) return std::nullopt;
  return split_heads(net, turned->input(0), at.scale);
}

bool may_be_equal(const Dimension& a, const Dimension& b) { return a == b || !a.is_known() || !b.is_known(); }

// Whether the result has the rows of the queries: [batch, tokens, width], or [batch · tokens, width].
bool fits_rows(const Shape& result, const Shape& rows, std::int64_t width) {
  if (result.size() != 2 && result.size() != 3) return false;
  if (result.back() != Dimension{width, {}}) return false;
  return result.size() == 2 || (may_be_equal(result[0], rows[0]) && may_be_equal(result[1], rows[1]));
}

struct Parts {
  Heads queries, keys, values;
  std::string result;
  double scale = 1;
};

std::optional<Parts> parts_around(const Net& net, const Node* softmax) {
  const std::string chances = through_down(net, softmax->output(0));
  const Node* mixed = net.user(chances, {"MatMul"});
  const Scaled scores = through(net, softmax->input(0), 1);
  const Node* product = net.maker(scores.name, {"MatMul"});
  if (mixed == nullptr || product == nullptr || !net.only(scores.name) || mixed->input(0) != chances)
    return std::nullopt;
  const auto queries = heads_of(net, product->input(0), kSwapMiddle);
  const auto keys = heads_of(net, product->input(1), kKeysTurned);
  const auto values = heads_of(net, mixed->input(1), kSwapMiddle);
  if (!queries || !keys || !values || values->scale != 1) return std::nullopt;
  if (queries->count != keys->count || queries->count != values->count || queries->size != keys->size)
    return std::nullopt;
  const Node* turned = net.user(through_down(net, mixed->output(0)), {"Transpose"});
  if (turned == nullptr || ints_attribute(*turned, "perm") != kSwapMiddle) return std::nullopt;
  const Node* flat = net.user(turned->output(0), {"Reshape"});
  if (flat == nullptr) return std::nullopt;
  return Parts{*queries, *keys, *values, flat->output(0), scores.scale * queries->scale * keys->scale};
}

bool is_over_last(const Net& net, const Node& softmax) {
  const Shape* shape = net.shape(softmax.output(0));
  const std::int64_t axis = int_attribute(softmax, "axis", net.opset() >= 13 ? -1 : 1);
  return axis == -1 || axis == static_cast<std::int64_t>(shape != nullptr ? shape->size() : 0) - 1;
}

bool fuse_attention(Net& net, const Node* softmax) {
  if (!is_over_last(net, *softmax)) return false;
  const auto parts = parts_around(net, softmax);
  if (!parts) return false;
  const Shape *result = net.shape(parts->result), *rows = net.shape(parts->queries.name);
  const std::int64_t width = parts->values.count * parts->values.size;
  if (result == nullptr || rows == nullptr || !fits_rows(*result, *rows, width)) return false;
  const bool is_flat = result->size() == 2;
  Made made{.domain = kContrib,
            .shape = Shape{(*rows)[0], (*rows)[1], {width, {}}},
            .attributes = {{.name = "num_heads", .number = parts->queries.count},
                           {.name = "scale", .real = static_cast<float>(parts->scale)}}};
  if (!is_flat) made.outputs = {parts->result};
  const std::string name =
      net.add("MultiHeadAttention", {parts->queries.name, parts->keys.name, parts->values.name}, made);
  if (is_flat)
    net.add("Reshape", {name, net.add_constant(int_tensor({-1, width}), "rows")}, {.outputs = {parts->result}});
  return true;
}

}  // namespace

Scaled through_factor(const Net& net, const std::string& name, double scale) {
  const Node* node = net.maker(name, {"Mul", "Div"});
  if (node == nullptr || !net.only(name)) return {name, scale};
  const auto number = net.scalar(node->input(1));
  if (!number || *number == 0) return {name, scale};
  return {node->input(0), node->op_type() == "Mul" ? scale * *number : scale / *number};
}

int fuse_attentions(Net& net) {
  int found = 0;
  for (const Node* softmax : net.nodes("Softmax")) found += static_cast<int>(fuse_attention(net, softmax));
  net.clean();
  return found;
}

}  // namespace image_engine::graph
