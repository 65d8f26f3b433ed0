// Where rows are picked by index both of a tensor and of what is computed of it row by row: computed of the picked
// rows.
#include <algorithm>

#include "graph/fusions.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

// A GatherElements of whole rows of [pictures, rows, numbers].
struct Pick {
  Node* gather;
  std::string index;  // [pictures, picked]
};

std::optional<Pick> pick_of(const Net& net, Node& node) {
  const Shape *all = net.shape(node.input(0)), *picked = net.shape(node.output(0));
  const std::int64_t axis = int_attribute(node, "axis", 0);
  if (all == nullptr || picked == nullptr || all->size() != 3 || picked->size() != 3 || (axis != 1 && axis != -2) ||
      (*all)[2] != (*picked)[2] || (*all)[0] != (*picked)[0])
    return std::nullopt;
  const Node* spread = net.maker(node.input(1), {"Tile", "Expand"});
  const Node* column = spread != nullptr ? net.maker(spread->input(0), {"Unsqueeze"}) : nullptr;
  const Shape* index = column != nullptr ? net.shape(column->input(0)) : nullptr;
  const Shape* one = column != nullptr ? net.shape(column->output(0)) : nullptr;
  if (index == nullptr || one == nullptr || index->size() != 2 || one->size() != 3) return std::nullopt;
  if ((*one)[2].size != 1 || (*one)[0] != (*picked)[0] || (*one)[1] != (*picked)[1] || (*index)[0] != (*one)[0] ||
      (*index)[1] != (*one)[1])
    return std::nullopt;
  return Pick{&node, column->input(0)};
}

// The input that varies of a node that computes each row by itself; −1 for others. A constant for each row counts where
// it is [1, rows, numbers].
int row_input(const Net& net, const Node& node, const Shape& rows) {
  if (node.op_type() == "Relu" || node.op_type() == "Identity") return 0;
  if (node.op_type() == "MatMul") {
    const Weights* weights = net.constant(node.input(1));
    return weights != nullptr && weights->dims_size() == 2 ? 0 : -1;
  }
  if (node.op_type() != "Add") return -1;
  for (const int i : {0, 1}) {
    const Weights* weights = net.constant(node.input(i));
    if (weights == nullptr) continue;
    const bool is_vector = weights->dims_size() <= 1;
    const bool is_of_rows = weights->dims_size() == 3 && weights->dims(0) == 1 && weights->dims(1) == rows[1].size;
    return is_vector || is_of_rows ? 1 - i : -1;
  }
  return -1;
}

// The nodes from a tensor of which the same rows are picked to that which `late` picks of, the last first. Empty where
// there are none, or others need what they compute.
std::vector<const Node*> nodes_between(const Net& net, const Pick& late, const std::vector<Pick>& picks,
                                       const Node*& early) {
  std::vector<const Node*> nodes;
  std::string name = late.gather->input(0);
  const Shape rows = *net.shape(name);
  while (true) {
    const auto same = std::ranges::find_if(picks, [&](const Pick& pick) {
      return pick.gather != late.gather && pick.index == late.index && pick.gather->input(0) == name;
    });
    if (same != picks.end()) {
      early = same->gather;
      return nodes;
    }
    const Node* node = net.only(name) ? net.maker(name, {}) : nullptr;
    const int input = node != nullptr ? row_input(net, *node, rows) : -1;
    if (input < 0 || net.shape(name)->size() != 3 || net.shape(node->input(input)) == nullptr) return {};
    nodes.push_back(node);
    name = node->input(input);
  }
}

void compute_late(Net& net, const Pick& late, const std::vector<const Node*>& nodes, const Node& early) {
  const Shape picked = *net.shape(late.gather->output(0)), rows = *net.shape(late.gather->input(0));
  std::string name = early.output(0);
  for (auto at = nodes.rbegin(); at != nodes.rend(); ++at) {
    const Node& node = **at;
    std::vector<std::string> inputs(node.input().begin(), node.input().end());
    inputs[static_cast<std::size_t>(row_input(net, node, rows))] = name;
    for (std::string& input : inputs) {
      const Weights* weights = net.constant(input);
      if (weights == nullptr || weights->dims_size() != 3) continue;
      const int kind = weights->data_type();
      Weights table = *weights;
      table.mutable_dims()->erase(table.dims().begin());
      input = net.add("Gather", {net.add_constant(std::move(table), "rows"), late.index},
                      {.attributes = {{.name = "axis", .number = 0}}});
      net.set_kind(input, kind);
    }
    Made made{.shape = Shape{picked[0], picked[1], net.shape(node.output(0))->back()}};
    if (&node == nodes.front()) made.outputs = {late.gather->output(0)};
    const int kind = net.kind(node.output(0));
    name = net.add(node.op_type(), inputs, made);
    net.set_kind(name, kind);
  }
}

}  // namespace

int fuse_picked_rows(Net& net) {
  std::vector<Pick> picks;
  for (Node* node : net.nodes("GatherElements"))
    if (const auto pick = pick_of(net, *node)) picks.push_back(*pick);
  int found = 0;
  for (const Pick& late : picks) {
    const Node* early = nullptr;
    const std::vector<const Node*> nodes = nodes_between(net, late, picks, early);
    if (nodes.empty()) continue;
    compute_late(net, late, nodes, *early);
    ++found;
  }
  net.clean();
  return found;
}

}  // namespace image_engine::graph
