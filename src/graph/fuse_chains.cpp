// Chains of elementwise nodes, with the bias of the convolution or product before them, as nodes of one operator.
#include <algorithm>
#include <array>
#include <unordered_set>

#include "graph/chains.h"
#include "graph/fusions.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

struct UnaryRow {
  std::string_view domain, op;
  ChainCode code;
};
constexpr UnaryRow kUnaries[] = {
    {"", "Relu", ChainCode::kRelu}, {"", "Sigmoid", ChainCode::kSigmoid}, {"", "Tanh", ChainCode::kTanh},
    {"", "Exp", ChainCode::kExp},   {"", "Log", ChainCode::kLog},         {"", "Sqrt", ChainCode::kSqrt},
    {"", "Abs", ChainCode::kAbs},   {kContrib, "Gelu", ChainCode::kGelu}, {"", "Neg", ChainCode::kNegate}};

const UnaryRow* unary_of(const Node& node) {
  const std::string_view domain = node.domain() == "ai.onnx" ? "" : std::string_view(node.domain());
  const auto* row = std::ranges::find_if(
      kUnaries, [&](const UnaryRow& each) { return each.op == node.op_type() && each.domain == domain; });
  return row == std::end(kUnaries) ? nullptr : row;
}

struct BinaryRow {
  std::string_view op;
  ChainCode code, swapped;  // where the element is the first operand, and where it is the second
};
constexpr BinaryRow kBinaries[] = {
    {"Add", ChainCode::kAdd, ChainCode::kAdd},           {"Sub", ChainCode::kSubtract, ChainCode::kSubtractFrom},
    {"Mul", ChainCode::kMultiply, ChainCode::kMultiply}, {"Div", ChainCode::kDivide, ChainCode::kDivideInto},
    {"Max", ChainCode::kAtLeast, ChainCode::kAtLeast},   {"Min", ChainCode::kAtMost, ChainCode::kAtMost}};

// Of nodes whose bias, their third input, can be added after them.
const Ops kConvolutions = {"Conv", "ConvTranspose"};
const Ops kProducts = {"Conv", "ConvTranspose", "Gemm", "MatMul"};
// Room for a bias and its operand beside a step's own.
constexpr std::size_t kSteps = kMostChainSteps - 2, kOperands = kMostChainInputs - 3;
constexpr int kWorthwhile = 2;  // kernels that become one

struct ChainStep {
  ChainCode code;
  std::string operand;
};

// What nodes do to an element.
struct Link {
  std::vector<ChainStep> steps;
  std::vector<const Node*> nodes;
  std::string result;
};

struct ElementChain {
  std::string start;
  Link link;
  int kernels = 0;                  // that it replaces
  const Node* depthwise = nullptr;  // the convolution that makes the start, if it becomes part of the chain
};

bool has_third(const Node& node) { return node.input_size() > 2 && !node.input(2).empty(); }

bool is_real(int kind) { return kind == onnx::TensorProto::FLOAT || kind == onnx::TensorProto::FLOAT16; }

bool is_one(const Dimension& dimension) { return dimension.size == 1; }

bool has_one_element(const Net& net, const std::string& name) {
  const Shape* shape = net.shape(name);
  return shape != nullptr && std::ranges::all_of(*shape, is_one);
}

// Whether the kernel can broadcast it.
bool is_broadcast(const Shape& shape, const Shape& to) {
  if (shape.size() > to.size()) return false;
  int groups = 0;
  std::optional<bool> was_one;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const std::size_t missing = to.size() - shape.size();
    const Dimension side = i < missing ? Dimension{1, {}} : shape[i - missing];
    if (!is_one(side) && side != to[i]) return false;
    if (is_one(to[i])) continue;
    if (was_one != is_one(side)) ++groups;
    was_one = is_one(side);
  }
  return groups <= kMostChainGroups;
}

struct Strides {
  std::vector<std::int64_t> strides, pads;
};

Strides strides_of(const Node& convolution) {
  Strides found{ints_attribute(convolution, "strides"), ints_attribute(convolution, "pads")};
  if (found.strides.empty()) found.strides = {1, 1};
  if (found.pads.empty()) found.pads = {0, 0, 0, 0};
  return found;
}

bool has_automatic_pads(const Node& node) {
  const onnx::AttributeProto* found = find_attribute(node, "auto_pad");
  return found != nullptr && found->s() != "NOTSET";
}

// Whether it is a convolution of each channel by itself for which there is a kernel.
bool is_depthwise(const Net& net, const Node& node) {
  if (node.op_type() != "Conv" || !(node.domain().empty() || node.domain() == "ai.onnx")) return false;
  const Weights* weights = net.constant(node.input(1));
  const Shape* picture = net.shape(node.input(0));
  if (weights == nullptr || weights->dims_size() != 4 || picture == nullptr || picture->size() != 4) return false;
  const std::int64_t channels = weights->dims(0), size = weights->dims(2);
  if (weights->dims(1) != 1 || int_attribute(node, "group", 1) != channels || (*picture)[1].size != channels)
    return false;
  if (channels % kDepthwiseChannels != 0 || weights->dims(3) != size || std::ranges::count(kDepthwiseSizes, size) == 0)
    return false;
  const auto [strides, pads] = strides_of(node);
  const auto is_one = [](std::int64_t number) { return number == 1; };
  return strides.size() == 2 && strides[0] == strides[1] && strides[0] <= kMostDepthwiseStride && pads.size() == 4 &&
         std::ranges::all_of(pads, [&](std::int64_t pad) { return pad >= 0 && pad < size; }) &&
         std::ranges::all_of(ints_attribute(node, "dilations"), is_one) && !has_automatic_pads(node) &&
         is_real(net.kind(node.output(0))) && net.shape(node.output(0)) != nullptr;
}

// Whether the kernel can compute with channels last what is broadcast from it.
bool can_be_turned(const Net& net, const std::string& name) {
  return net.constant(name) != nullptr || has_one_element(net, name) || net.shape(name)->size() == 4;
}

bool can_be_turned(const Net& net, const std::vector<ChainStep>& steps) {
  return std::ranges::all_of(
      steps, [&](const ChainStep& step) { return !takes_operand(step.code) || can_be_turned(net, step.operand); });
}

class ChainFinder {
 public:
  ChainFinder(const Net& net, Chains layout) : net_(net), layout_(layout) {}

  // That begins with the node, if it is worth one.
  std::optional<ElementChain> from(const Node& node) {
    if (taken_.contains(&node)) return std::nullopt;
    if (layout_ == Chains::kChannelsLast && is_depthwise(net_, node)) return from_depthwise(node);
    std::optional<ElementChain> best;
    for (const std::string& name : node.input()) {
      auto link = is_start(name) ? link_of(node, name) : std::nullopt;
      if (!link) continue;
      const bool is_product = net_.maker(name, kProducts) != nullptr;
      if (!best || is_product) best = ElementChain{name, std::move(*link), 1};
      if (is_product) break;
    }
    if (!best) return std::nullopt;
    extend(*best);
    best->kernels += biases_of(*best);
    if (best->kernels < kWorthwhile || best->link.steps.empty()) return std::nullopt;
    taken_.insert(best->link.nodes.begin(), best->link.nodes.end());
    return best;
  }

  // The node that makes the tensor, if its bias can be added by the chain instead.
  [[nodiscard]] const Node* biased_maker(const ElementChain& chain, const std::string& name) const {
    const Node* node = net_.maker(name, {"Conv", "ConvTranspose", "Gemm"});
    const Shape* shape = net_.shape(name);
    if (node == nullptr || !has_third(*node) || net_.is_result(name) || shape == nullptr) return nullptr;
    const Shape* bias = net_.constant(node->input(2)) != nullptr ? net_.shape(node->input(2)) : nullptr;
    if (bias == nullptr || bias->size() != 1 || float_attribute(*node, "beta", 1) != 1) return nullptr;
    const auto reads = std::ranges::count(chain.link.steps, name, &ChainStep::operand) + (chain.start == name ? 1 : 0);
    if (reads != 1) return nullptr;
    const auto is_inside = [&](const Node* user) { return std::ranges::count(chain.link.nodes, user) != 0; };
    return std::ranges::all_of(net_.users(name), is_inside) ? node : nullptr;
  }

  // The first step that adds a tensor whose bias can be added by the chain instead.
  [[nodiscard]] std::vector<ChainStep>::const_iterator biased_sum(const ElementChain& chain) const {
    return std::ranges::find_if(chain.link.steps, [&](const ChainStep& step) {
      return step.code == ChainCode::kAdd && biased_maker(chain, step.operand) != nullptr;
    });
  }

 private:
  ElementChain from_depthwise(const Node& node) {
    ElementChain chain{.start = node.output(0), .link = {{}, {&node}, node.output(0)}, .depthwise = &node};
    extend(chain);
    taken_.insert(chain.link.nodes.begin(), chain.link.nodes.end());
    return chain;
  }

  [[nodiscard]] bool is_start(const std::string& name) const {
    return !name.empty() && net_.constant(name) == nullptr && net_.shape(name) != nullptr &&
           !net_.shape(name)->empty() && is_real(net_.kind(name));
  }

  // What the node does to `name`; nothing where it is no step, or none with this shape.
  [[nodiscard]] std::optional<Link> link_of(const Node& node, const std::string& name) const {
    if (node.output_size() != 1 || taken_.contains(&node)) return std::nullopt;
    auto link = steps_of(node, name);
    if (!link) return std::nullopt;
    const Shape *before = net_.shape(name), *after = net_.shape(link->result);
    if (after == nullptr || *before != *after || !is_real(net_.kind(link->result))) return std::nullopt;
    for (const ChainStep& step : link->steps) {
      if (!takes_operand(step.code)) continue;
      const Shape* shape = net_.shape(step.operand);
      if (shape == nullptr || step.operand == name || !is_real(net_.kind(step.operand))) return std::nullopt;
      if (!is_broadcast(*shape, *before)) return std::nullopt;
    }
    return link;
  }

  [[nodiscard]] std::optional<Link> steps_of(const Node& node, const std::string& name) const {
    const bool is_own = node.domain().empty() || node.domain() == "ai.onnx";
    Link link{{}, {&node}, node.output(0)};
    if (node.op_type() == "Sigmoid" && is_own)
      if (const Node* product = silu_product(node))
        return Link{{{ChainCode::kSilu, {}}}, {&node, product}, product->output(0)};
    if (const UnaryRow* row = unary_of(node)) {
      link.steps = {{row->code, {}}};
      return link;
    }
    if (!is_own) return std::nullopt;
    if (node.op_type() == "Cast") return link;
    if (node.op_type() == "Clip") return with_limits(node, name, std::move(link));
    const auto row = std::ranges::find(kBinaries, node.op_type(), &BinaryRow::op);
    if (row == std::end(kBinaries) || node.input_size() != 2 || node.attribute_size() > 0) return std::nullopt;
    const bool is_first = node.input(0) == name;
    link.steps = {{is_first ? row->code : row->swapped, uncast(node.input(is_first ? 1 : 0))}};
    return link;
  }

  [[nodiscard]] static std::optional<Link> with_limits(const Node& clip, const std::string& name, Link link) {
    if (clip.attribute_size() > 0 || clip.input(0) != name) return std::nullopt;
    constexpr std::array kLimits = {ChainCode::kAtLeast, ChainCode::kAtMost};
    for (int i = 1; i < clip.input_size(); ++i)
      if (!clip.input(i).empty()) link.steps.push_back({kLimits[static_cast<std::size_t>(i - 1)], clip.input(i)});
    return link;
  }

  // Of σ(x): the node that multiplies it with x, if nothing else needs it.
  [[nodiscard]] const Node* silu_product(const Node& sigmoid) const {
    const Node* product = net_.user(sigmoid.output(0), {"Mul"});
    if (product == nullptr || taken_.contains(product)) return nullptr;
    const std::set<std::string> operands(product->input().begin(), product->input().end());
    return operands == std::set<std::string>{sigmoid.input(0), sigmoid.output(0)} ? product : nullptr;
  }

  // Before a change between float32 and float16, which the kernel makes itself.
  [[nodiscard]] std::string uncast(const std::string& name) const {
    const Node* cast = net_.maker(name, {"Cast"});
    return cast != nullptr && is_real(net_.kind(cast->input(0))) && is_real(net_.kind(name)) ? cast->input(0) : name;
  }

  // The only node that goes on with the tensor; for x · σ(x) the sigmoid.
  [[nodiscard]] const Node* next(const std::string& name) const {
    if (net_.is_result(name)) return nullptr;
    const auto users = net_.users(name);
    if (users.size() == 1) return users[0];
    if (users.size() != 2) return nullptr;
    for (const int i : {0, 1})
      if (users[static_cast<std::size_t>(i)]->op_type() == "Sigmoid" &&
          silu_product(*users[static_cast<std::size_t>(i)]) == users[static_cast<std::size_t>(1 - i)])
        return users[static_cast<std::size_t>(i)];
    return nullptr;
  }

  void extend(ElementChain& chain) const {
    Link& all = chain.link;
    while (const Node* node = next(all.result)) {
      auto more = link_of(*node, all.result);
      if (!more || all.steps.size() + more->steps.size() > kSteps) return;
      if (chain.depthwise != nullptr && !can_be_turned(net_, more->steps)) return;
      std::set<std::string> operands;
      for (const auto* steps : {&all.steps, &more->steps})
        for (const ChainStep& step : *steps) operands.insert(step.operand);
      if (operands.size() > kOperands) return;
      all.steps.insert(all.steps.end(), more->steps.begin(), more->steps.end());
      all.nodes.insert(all.nodes.end(), more->nodes.begin(), more->nodes.end());
      all.result = std::move(more->result);
      ++chain.kernels;
    }
  }

  // Each is added by a kernel, or written before the product.
  [[nodiscard]] int biases_of(const ElementChain& chain) const {
    return int{biased_maker(chain, chain.start) != nullptr} + int{biased_sum(chain) != chain.link.steps.end()};
  }

  const Net& net_;
  Chains layout_;
  std::unordered_set<const Node*> taken_;
};

bool are_known(const Shape& shape, std::size_t from) {
  return std::all_of(shape.begin() + static_cast<std::ptrdiff_t>(from), shape.end(),
                     [](const Dimension& side) { return side.is_known(); });
}

bool swaps_last(const Node* transpose) {
  return transpose != nullptr && ints_attribute(*transpose, "perm") == std::vector<std::int64_t>{0, 2, 1};
}

// Of a picture that is made of rows [pictures, places, channels]: those rows; else an empty name.
std::string rows_behind(const Net& net, const std::string& name) {
  const Shape* shape = net.shape(name);
  const Node* reshape = net.maker(name, {"Reshape"});
  const Node* transpose = reshape != nullptr ? net.maker(reshape->input(0), {"Transpose"}) : nullptr;
  if (!swaps_last(transpose) || shape == nullptr || shape->size() != 4 || !are_known(*shape, 1)) return {};
  const Shape* rows = net.shape(transpose->input(0));
  if (rows == nullptr || rows->size() != 3 || (*rows)[0] != (*shape)[0] || (*rows)[2] != (*shape)[1]) return {};
  return transpose->input(0);
}

// Where only rows [pictures, places, channels] are made of a picture: the last node that makes them; else null.
const Node* rows_made_of(const Net& net, const std::string& name) {
  const Shape* shape = net.shape(name);
  const Node* reshape = net.only(name) ? net.user(name, {"Reshape"}) : nullptr;
  const Node* transpose = reshape != nullptr ? net.user(reshape->output(0), {"Transpose"}) : nullptr;
  if (!swaps_last(transpose) || shape == nullptr || shape->size() != 4) return nullptr;
  const Shape* rows = net.shape(transpose->output(0));
  const bool fits = rows != nullptr && rows->size() == 3 && (*rows)[0] == (*shape)[0] && (*rows)[2] == (*shape)[1];
  return fits && are_known(*rows, 1) ? transpose : nullptr;
}

class ChainWriter {
 public:
  ChainWriter(Net& net, const ChainFinder& finder, Chains layout) : net_(net), finder_(finder), layout_(layout) {}

  void write(ElementChain chain) {
    const Shape shape = *net_.shape(chain.link.result);
    take_biases(chain);
    const bool is_turned = chain.depthwise != nullptr || turns(chain, shape);
    std::vector<std::string> inputs{chain.depthwise != nullptr ? chain.depthwise->input(0) : chain.start};
    std::vector<std::int64_t> steps;
    for (const ChainStep& step : chain.link.steps) {
      steps.push_back(static_cast<std::int64_t>(step.code));
      steps.push_back(takes_operand(step.code) ? number_of(step.operand, inputs) : -1);
    }
    if (is_turned)
      for (std::string& name : inputs) name = turned(name);
    Made made{.domain = kOwnDomain, .attributes = {{.name = kChainSteps, .list = std::move(steps)}}};
    if (!is_turned) {
      made.outputs = {chain.link.result};
      made.shape = shape;
    }
    const bool is_half = net_.kind(chain.link.result) == onnx::TensorProto::FLOAT16;
    const char* op = is_half ? kChainHalf : kChainFull;
    if (chain.depthwise != nullptr) {
      op = is_half ? kDepthwiseHalf : kDepthwiseFull;
      add_convolution(*chain.depthwise, inputs, made);
    }
    const std::string result = net_.add(op, inputs, made);
    if (is_turned) turn_back(result, chain.link.result);
  }

 private:
  static std::int64_t number_of(const std::string& operand, std::vector<std::string>& inputs) {
    const auto found = std::find(inputs.begin() + 1, inputs.end(), operand);
    const auto number = found - inputs.begin();
    if (found == inputs.end()) inputs.push_back(operand);
    return number;
  }

  // The biases of what the chain begins with and of one tensor that is added to it become steps.
  void take_biases(ElementChain& chain) {
    std::vector<ChainStep>& steps = chain.link.steps;
    const Node* maker = chain.depthwise != nullptr ? chain.depthwise : finder_.biased_maker(chain, chain.start);
    if (const auto sum = finder_.biased_sum(chain); sum != steps.end()) {
      const auto at = steps.begin() + (sum - steps.begin());
      const Node& added = *finder_.biased_maker(chain, at->operand);
      const ChainStep bias{ChainCode::kAdd, bias_along(added, at->operand)};
      at->operand = without_bias(added);
      steps.insert(at, bias);
    }
    if (maker == nullptr || !has_third(*maker)) return;
    steps.insert(steps.begin(), {ChainCode::kAdd, bias_along(*maker, chain.start)});
    if (chain.depthwise == nullptr) chain.start = without_bias(*maker);
  }

  // The node's bias with the dimensions that broadcast it to the tensor.
  std::string bias_along(const Node& node, const std::string& name) {
    Weights bias = *net_.constant(node.input(2));
    if (is_one_of(node, kConvolutions))
      for (std::size_t i = 2; i < net_.shape(name)->size(); ++i) bias.add_dims(1);
    return net_.add_constant(std::move(bias), "bias");
  }

  std::string without_bias(const Node& node) {
    Node copy = node;
    copy.set_name(net_.fresh(node.op_type() + "_"));
    copy.mutable_input()->DeleteSubrange(2, copy.input_size() - 2);
    std::string name = net_.fresh("unbiased");
    copy.set_output(0, name);
    net_.add_node(std::move(copy), *net_.shape(node.output(0)));
    if (convolved(node.output(0))) unbiased_.insert(name);
    return name;
  }

  [[nodiscard]] bool convolved(const std::string& name) const {
    return net_.maker(name, kConvolutions) != nullptr || unbiased_.contains(name);
  }

  // Whether to compute with channels last: the provider's convolutions then have them last, too, and the transposes
  // around chains cancel out with those around convolutions.
  [[nodiscard]] bool turns(const ElementChain& chain, const Shape& shape) const {
    if (layout_ != Chains::kChannelsLast || shape.size() != 4) return false;
    std::vector<std::string> names{chain.start};
    for (const ChainStep& step : chain.link.steps)
      if (takes_operand(step.code)) names.push_back(step.operand);
    const auto is_convolved = [&](const std::string& name) { return convolved(name) || turned_back_.contains(name); };
    const auto can_turn = [&](const std::string& name) { return can_be_turned(net_, name); };
    return std::ranges::any_of(names, is_convolved) && std::ranges::all_of(names, can_turn);
  }

  void add_convolution(const Node& node, std::vector<std::string>& inputs, Made& made) {
    const Strides strides = strides_of(node);
    const std::string weights =
        net_.add("Transpose", {node.input(1)}, {.attributes = {{.name = "perm", .list = {2, 3, 1, 0}}}});
    inputs.insert(inputs.begin() + 1, weights);
    made.attributes.push_back({.name = kDepthwiseStrides, .list = strides.strides});
    made.attributes.push_back({.name = kDepthwisePads, .list = strides.pads});
  }

  // Gives what has channels last the name that it has with channels first, and that of the rows that are made of it.
  void turn_back(const std::string& last, const std::string& name) {
    if (const Node* transpose = rows_made_of(net_, name)) {
      const Shape& rows = *net_.shape(transpose->output(0));
      net_.add("Reshape", {last, net_.add_constant(int_tensor({0, rows[1].size, rows[2].size}), "rows")},
               {.outputs = {transpose->output(0)}, .shape = rows});
    }
    net_.add("Transpose", {last}, {.outputs = {name}, .attributes = {{.name = "perm", .list = {0, 3, 1, 2}}}});
    turned_back_.insert(name);
  }

  // With channels last. What is constant is computed when the graph is loaded.
  std::string turned(std::string name) {
    if (has_one_element(net_, name)) return name;
    if (const std::string rows = rows_behind(net_, name); !rows.empty()) {
      const Shape& shape = *net_.shape(name);
      const std::vector<std::int64_t> sides{0, shape[2].size, shape[3].size, shape[1].size};
      return net_.add("Reshape", {rows, net_.add_constant(int_tensor(sides), "sides")}, {});
    }
    if (const Weights* weights = net_.constant(name); weights != nullptr && weights->dims_size() < 4) {
      Weights four = *weights;
      four.clear_dims();
      for (int i = weights->dims_size(); i < 4; ++i) four.add_dims(1);
      for (const std::int64_t side : weights->dims()) four.add_dims(side);
      name = net_.add_constant(std::move(four), "operand");
    }
    return net_.add("Transpose", {name}, {.attributes = {{.name = "perm", .list = {0, 2, 3, 1}}}});
  }

  Net& net_;
  const ChainFinder& finder_;
  Chains layout_;
  std::unordered_set<std::string> unbiased_, turned_back_;
};

// What is done to each number of rows that are made of a depthwise convolution is done before they are made.
void put_at_convolutions(Net& net) {
  for (const auto& node : net.all()) {
    Node* transpose =
        unary_of(*node) != nullptr && net.only(node->input(0)) ? net.maker(node->input(0), {"Transpose"}) : nullptr;
    Node* reshape =
        transpose != nullptr && net.only(transpose->input(0)) ? net.maker(transpose->input(0), {"Reshape"}) : nullptr;
    const Node* convolution = reshape != nullptr ? net.maker(reshape->input(0), {"Conv"}) : nullptr;
    if (convolution == nullptr || !is_depthwise(net, *convolution)) continue;
    const std::string before = reshape->input(0), after = net.fresh("before_rows");
    if (rows_made_of(net, before) != transpose) continue;
    net.set_kind(after, net.kind(before));
    net.set_shape(after, *net.shape(before));
    transpose->set_output(0, node->output(0));
    reshape->set_input(0, after);
    node->set_input(0, before);
    node->set_output(0, after);
  }
  net.clean();
}

}  // namespace

int fuse_chains(Net& net, Chains layout) {
  int found = 0;
  if (layout == Chains::kChannelsLast) put_at_convolutions(net);
  ChainFinder finder(net, layout);
  ChainWriter writer(net, finder, layout);
  std::vector<const Node*> nodes;
  for (const auto& node : net.all()) nodes.push_back(node.get());
  for (const Node* node : nodes)
    if (auto chain = finder.from(*node)) {
      writer.write(std::move(*chain));
      ++found;
    }
  net.clean();
  return found;
}

}  // namespace image_engine::graph
