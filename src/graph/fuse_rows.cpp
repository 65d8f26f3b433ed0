#include <algorithm>
#include <unordered_set>

#include "graph/fusions.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

constexpr std::string_view kRowWise[] = {"Add",     "Sub", "Mul",  "Div",  "MatMul", "LayerNormalization",
                                         "Sigmoid", "Erf", "Gelu", "Relu", "Tanh",   "Identity"};

// Whether the first two dimensions of both are equal.
bool same_rows(const Shape* a, const Shape& rows) {
  return a != nullptr && a->size() >= 2 && (*a)[0] == rows[0] && (*a)[1] == rows[1];
}

bool is_pile(const Shape* shape, const Shape& rows) { return same_rows(shape, rows) && shape->size() == 3; }

bool is_by_row(const Net& net, const Node& node, int i, const Shape& rows) {
  const std::string& name = node.input(i);
  const Shape* shape = net.shape(name);
  const bool constant = net.constant(name) != nullptr;
  if (shape == nullptr) return false;
  if (is_pile(shape, rows) && !constant) return node.op_type() != "MatMul" || i != 1;
  if (node.op_type() == "MatMul") return i == 1 && shape->size() == 2 && constant;
  if (node.op_type() == "LayerNormalization") {
    const std::int64_t axis = int_attribute(node, "axis", -1);
    return i > 0 && (axis == -1 || axis == 2);
  }
  return shape->size() <= 1 && constant;
}

// The nodes whose results reach only `pick`, and that compute each row by itself.
std::vector<Node*> region_above(const Net& net, const Node* pick, const Shape& rows) {
  std::vector<Node*> region;
  std::unordered_set<const Node*> members{pick};
  for (auto at = net.all().rbegin(); at != net.all().rend(); ++at) {
    Node* node = at->get();
    if (std::ranges::find(kRowWise, node->op_type()) == std::end(kRowWise) || node->output_size() != 1) continue;
    const std::string& name = node->output(0);
    if (net.is_result(name) || net.users(name).empty() || !same_rows(net.shape(name), rows)) continue;
    if (!std::ranges::all_of(net.users(name), [&](Node* user) { return members.contains(user); })) continue;
    bool by_row = true;
    for (int i = 0; i < node->input_size(); ++i) by_row = by_row && is_by_row(net, *node, i, rows);
    if (!by_row) continue;
    region.push_back(node);
    members.insert(node);
  }
  return region;
}

// Gives the region's nodes one row of what enters it.
void take_row(Net& net, const std::vector<Node*>& region, const Shape& rows, std::int64_t row) {
  std::set<std::string> outputs;
  for (const Node* node : region) outputs.insert(node->output(0));
  const std::string index = net.add_constant(int_tensor({row}), "row");
  std::unordered_map<std::string, std::string> taken;
  for (Node* node : region)
    for (std::string& name : *node->mutable_input()) {
      const Shape* shape = net.shape(name);
      if (outputs.contains(name) || !is_pile(shape, rows)) continue;
      std::string& one = taken[name];
      if (one.empty())
        one = net.add("Gather", {name, index},
                      {.shape = Shape{rows[0], {1, {}}, (*shape)[2]}, .attributes = {{.name = "axis", .number = 1}}});
      name = one;
    }
  for (const std::string& name : outputs) {
    Shape shape = *net.shape(name);
    shape[1] = {1, {}};
    net.set_shape(name, std::move(shape));
  }
}

bool shorten(Net& net, Node* pick) {
  const Shape* shape = net.shape(pick->input(0));
  const Weights* row = net.constant(pick->input(1));
  if (int_attribute(*pick, "axis", 0) != 1 || row == nullptr || count_of(*row) != 1) return false;
  const auto index = net.scalar(pick->input(1));
  if (!index || shape == nullptr || shape->size() != 3) return false;
  const Shape rows{(*shape)[0], (*shape)[1]};
  const std::vector<Node*> region = region_above(net, pick, rows);
  if (!std::ranges::any_of(region, [](const Node* node) { return node->op_type() == "MatMul"; })) return false;
  const std::string from = pick->input(0), to = pick->output(0);
  const bool scalar = row->dims_size() == 0;
  take_row(net, region, rows, static_cast<std::int64_t>(*index));
  if (scalar)
    net.add("Squeeze", {from, net.add_constant(int_tensor({1}), "axes")}, {.outputs = {to}});
  else
    net.add("Identity", {from}, {.outputs = {to}});
  net.clean();
  return true;
}

}  // namespace

int fuse_early_rows(Net& net) {
  // A shortened graph has other nodes: each place by the name of its result.
  std::vector<std::string> results;
  for (const Node* node : net.nodes("Gather")) results.push_back(node->output(0));
  int found = 0;
  for (const std::string& name : results)
    if (Node* pick = net.maker(name, {"Gather"})) found += static_cast<int>(shorten(net, pick));
  return found;
}

}  // namespace image_engine::graph
