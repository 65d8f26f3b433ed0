#include "graph/half.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

using onnx::TensorProto;
using Members = std::unordered_set<const Node*>;

constexpr int kFull = TensorProto::FLOAT, kHalf = TensorProto::FLOAT16;
constexpr float kLargest = 65504;
constexpr float kSmallest = 0x1p-24F;  // that float16 holds above zero

// Computed in float32: indices and places, whose rounding moves them; sums over many numbers; what the CUDA provider
// has no half kernel for. Norms, softmaxes and attentions take halves and add in float32 inside their kernels.
constexpr std::string_view kKeptOps[] = {"CumSum",
                                         "GridSample",
                                         "NonMaxSuppression",
                                         "Range",
                                         "ReduceProd",
                                         "ReduceSumSquare",
                                         "ReduceL2",
                                         "Resize",
                                         "RoiAlign",
                                         "ScatterND",
                                         "ScatterElements",
                                         "TopK",
                                         "Upsample",
                                         "Einsum",
                                         "RandomNormal",
                                         "RandomUniform",
                                         "RandomNormalLike",
                                         "RandomUniformLike",
                                         "ConstantOfShape",
                                         "QuantizeLinear",
                                         "DequantizeLinear",
                                         "LSTM",
                                         "GRU",
                                         "RNN",
                                         "LpNormalization"};
// What an output's last part may consist of, which is computed in float32: boxes in pixels need more digits.
constexpr std::string_view kTailOps[] = {
    "Add",     "Sub",     "Mul",       "Div",    "Neg",    "Exp",      "Log",       "Pow",    "Sqrt",
    "Sigmoid", "Softmax", "Clip",      "Min",    "Max",    "Reshape",  "Transpose", "Concat", "Split",
    "Slice",   "Squeeze", "Unsqueeze", "Expand", "Gather", "Identity", "ReduceSum", "Relu",   "Where"};
constexpr std::string_view kMoves[] = {"Reshape", "Transpose", "Concat", "Split",  "Slice",
                                       "Squeeze", "Unsqueeze", "Expand", "Gather", "Identity"};
// Inputs that stay of their type whatever the others are.
struct FixedInput {
  std::string_view op;
  int input;
};
constexpr FixedInput kFixedInputs[] = {{"Resize", 1}, {"Resize", 2}, {"Upsample", 1}};

bool is_in(std::span<const std::string_view> ops, const Node& node) {
  return std::ranges::find(ops, node.op_type()) != ops.end();
}

bool is_fixed(const Node& node, int input) {
  return std::ranges::any_of(kFixedInputs,
                             [&](const FixedInput& row) { return row.op == node.op_type() && row.input == input; });
}

// Whether float16 can hold a constant: no number overflows, no scalar that is not zero vanishes.
bool fits(const Weights& weights) {
  const auto numbers = floats(weights);
  float largest = 0;
  for (const float number : numbers.value_or(std::vector<float>()))
    if (std::isfinite(number)) largest = std::max(largest, std::abs(number));
  return largest <= kLargest && (count_of(weights) != 1 || largest == 0 || largest >= kSmallest);
}

bool holds_constants(const Net& net, const Node& node) {
  return std::ranges::all_of(node.input(), [&](const std::string& name) {
    const Weights* weights = net.constant(name);
    return weights == nullptr || fits(*weights);
  });
}

// A weighted sum with one vector counts, too: over the bins of a distance.
bool is_arithmetic(const Net& net, const Node& node) {
  if (is_in(kTailOps, node)) return true;
  if (node.op_type() != "MatMul") return false;
  const Weights* weights = net.constant(node.input(1));
  if (weights == nullptr || weights->dims_size() == 0) return false;
  return weights->dims_size() == 1 || weights->dims(weights->dims_size() - 1) == 1;
}

// Arithmetic on four numbers an item, as boxes and references are refined.
Members boxes_of(const Net& net) {
  Members found;
  for (const auto& node : net.all()) {
    if (!is_in(kTailOps, *node) || node->output_size() == 0) continue;
    const std::string& name = node->output(0);
    if (net.kind(name) == kFull && net.last(name) == 4 && net.shape(name)->size() == 3) found.insert(node.get());
  }
  return found;
}

// Upwards from a tensor as far as there is only arithmetic. Nothing where nothing is computed.
Members tail_from(const Net& net, const std::string& start) {
  Members found;
  std::vector<std::string> stack{start};
  bool computes = false;
  while (!stack.empty()) {
    const Node* node = net.any_maker(stack.back());
    stack.pop_back();
    if (node == nullptr || found.contains(node) || net.kind(node->output(0)) != kFull || !is_arithmetic(net, *node))
      continue;
    found.insert(node);
    computes = computes || !is_in(kMoves, *node);
    stack.insert(stack.end(), node->input().begin(), node->input().end());
  }
  return computes ? found : Members();
}

// The nodes that compute in float32.
Members kept_nodes(const Net& net) {
  std::set<std::string> captured;
  for (const auto& node : net.all())
    for_subgraphs(*node, [&](const onnx::GraphProto& graph) { add_names_used_in(graph, captured); });
  Members full;
  for (const auto& node : net.all()) {
    const bool is_captured =
        std::ranges::any_of(node->output(), [&](const std::string& name) { return captured.contains(name); });
    if (is_in(kKeptOps, *node) || has_subgraphs(*node) || is_captured || !holds_constants(net, *node))
      full.insert(node.get());
  }
  const Members boxes = boxes_of(net);
  for (const std::string& name : net.results()) full.merge(tail_from(net, name));
  for (const Node* node : boxes) full.merge(tail_from(net, node->output(0)));
  full.insert(boxes.begin(), boxes.end());
  return full;
}

class HalfGraph {
 public:
  HalfGraph(Net& net, bool io_too) : net_(net), io_(io_too ? kHalf : kFull), full_(kept_nodes(net)) {
    for (const auto& value : net.model().graph().input()) set_home(value.name(), io_);
    for (const std::string& name : net.results()) set_home(name, io_);
    for (const auto& node : net.all())
      for (const std::string& name : node->output())
        if (!name.empty()) set_home(name, kind_of(*node));
  }

  std::vector<std::string> convert() {
    for (const Node* node : full_)
      if (!is_in(kMoves, *node)) kept_ops_.insert(node->op_type());
    for (auto& node : net_.take_nodes()) convert(std::move(node));
    net_.replace_nodes(std::move(made_));
    onnx::GraphProto* graph = net_.model().mutable_graph();
    for (auto* values : {graph->mutable_input(), graph->mutable_output()})
      for (onnx::ValueInfoProto& value : *values)
        if (const auto home = homes_.find(value.name()); home != homes_.end())
          value.mutable_type()->mutable_tensor_type()->set_elem_type(home->second);
    net_.clean();
    std::set<std::string> kept;
    for (const auto& node : net_.all())
      if (kept_ops_.contains(node->op_type())) kept.insert(node->op_type());
    return {kept.begin(), kept.end()};
  }

 private:
  // The type of a tensor when all is done; the first that is set holds.
  void set_home(const std::string& name, int kind) {
    if (net_.kind(name) == kFull) homes_.try_emplace(name, kind);
  }
  [[nodiscard]] int kind_of(const Node& node) const { return full_.contains(&node) ? kFull : kHalf; }
  [[nodiscard]] int home_of(const std::string& name) const {
    const auto found = homes_.find(name);
    return found == homes_.end() ? kFull : found->second;
  }

  static std::string suffixed(const std::string& name, int kind) { return name + (kind == kHalf ? "_half" : "_full"); }

  std::string half_constant(const Weights& weights) {
    std::string& name = halves_[weights.name()];
    if (name.empty()) {
      const auto numbers = floats(weights);
      name = net_.add_constant(half_tensor(numbers.value_or(std::vector<float>()), weights), weights.name() + "_half");
    }
    return name;
  }

  // The tensor in that type.
  std::string as_kind(const std::string& name, int kind) {
    if (const Weights* weights = net_.constant(name)) return kind == kFull ? name : half_constant(*weights);
    if (home_of(name) == kind) return name;
    std::string& cast = casts_[suffixed(name, kind)];
    if (cast.empty()) {
      cast = net_.fresh(suffixed(name, kind));
      add_cast(name, cast, kind);
    }
    return cast;
  }

  void add_cast(const std::string& from, const std::string& to, int kind) {
    auto node = std::make_unique<Node>();
    node->set_op_type("Cast");
    node->set_name(net_.fresh("Cast_"));
    node->add_input(from);
    node->add_output(to);
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name("to");
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(kind);
    made_.push_back(std::move(node));
  }

  void convert(std::unique_ptr<Node> node) {
    const int kind = kind_of(*node);
    for (int i = 0; i < node->input_size(); ++i) {
      const std::string name = node->input(i);
      if (!name.empty() && net_.kind(name) == kFull && !is_fixed(*node, i)) node->set_input(i, as_kind(name, kind));
    }
    if (node->op_type() == "Cast")
      cast_to_home(*node);
    else
      cast_outputs(*node, kind);
    made_.push_back(std::move(node));
    for (const Later& later : later_) add_cast(later.from, later.to, home_of(later.to));
    later_.clear();
  }

  void cast_to_home(Node& cast) {
    if (home_of(cast.output(0)) != kHalf) return;
    for (onnx::AttributeProto& attribute : *cast.mutable_attribute())
      if (attribute.name() == "to" && attribute.i() == kFull) attribute.set_i(kHalf);
  }

  // An output of the graph in another type than its node: the node's result gets another name.
  void cast_outputs(Node& node, int kind) {
    for (std::string& name : *node.mutable_output()) {
      if (name.empty() || net_.kind(name) != kFull || home_of(name) == kind) continue;
      std::string& cast = casts_[suffixed(name, kind)];
      cast = net_.fresh(suffixed(name, kind));
      later_.push_back({cast, name});
      name = cast;
    }
  }

  struct Later {
    std::string from, to;
  };

  Net& net_;
  int io_;
  Members full_;
  std::unordered_map<std::string, int> homes_;
  std::unordered_map<std::string, std::string> halves_, casts_;
  std::vector<std::unique_ptr<Node>> made_;
  std::vector<Later> later_;
  std::set<std::string> kept_ops_;
};

}  // namespace

std::vector<std::string> to_half(Net& net, bool io_too) { return HalfGraph(net, io_too).convert(); }

}  // namespace image_engine::graph
