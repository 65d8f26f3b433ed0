// Chains of elementwise nodes, with the bias of the convolution or product before them, as nodes of one operator.
#include <algorithm>
#include <array>
#include <unordered_set>

#include "graph/chains.h"
#include "graph/channels_last.h"
#include "graph/fusions.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

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
  OperandSize size = OperandSize::kSame;
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

// Whether the kernel can compute with channels last what is broadcast from it.
bool can_be_turned(const Net& net, const std::string& name) {
  return net.constant(name) != nullptr || has_one_element(net, name) || net.shape(name)->size() == 4;
}

bool is_resized(const ChainStep& step) { return step.size != OperandSize::kSame; }

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
    if (node->op_type() == "Gemm" && net_.opset() < 11) return nullptr;  // there it must have one
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
    for (ChainStep& step : link->steps) {
      if (!takes_operand(step.code)) continue;
      if (const Shape* whole = net_.shape(step.operand); whole != nullptr && *whole == *before) take_size(step);
      const Shape* shape = net_.shape(step.operand);
      if (shape == nullptr || step.operand == name || !is_real(net_.kind(step.operand))) return std::nullopt;
      if (!is_resized(step) && !is_broadcast(*shape, *before)) return std::nullopt;
    }
    const bool fits = std::ranges::none_of(link->steps, is_resized) || can_be_turned(net_, link->steps);
    return fits ? link : std::nullopt;
  }

  [[nodiscard]] std::optional<Link> steps_of(const Node& node, const std::string& name) const {
    const bool is_own = node.domain().empty() || node.domain() == "ai.onnx";
    Link link{{}, {&node}, node.output(0)};
    if (node.op_type() == "Sigmoid" && is_own)
      if (const Node* product = silu_product(node))
        return Link{{{ChainCode::kSilu, {}}}, {&node, product}, product->output(0)};
    if (const auto code = unary_of(node)) {
      link.steps = {{*code, {}}};
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

  // The kernel makes an operand larger itself.
  void take_size(ChainStep& step) const {
    if (layout_ != Chains::kChannelsLast || !net_.only(step.operand)) return;
    const auto found = resized(net_, step.operand);
    if (!found || (*net_.shape(step.operand))[1].size % kDepthwiseChannels != 0) return;
    step.operand = uncast(found->source);
    step.size = found->size;
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

  // Whether there is a kernel with channels last only.
  static bool must_turn(const ElementChain& chain, const std::vector<ChainStep>& more) {
    return chain.depthwise != nullptr || std::ranges::any_of(chain.link.steps, is_resized) ||
           std::ranges::any_of(more, is_resized);
  }

  void extend(ElementChain& chain) const {
    Link& all = chain.link;
    while (const Node* node = next(all.result)) {
      auto more = link_of(*node, all.result);
      if (!more || all.steps.size() + more->steps.size() > kSteps) return;
      if (must_turn(chain, more->steps) && !(can_be_turned(net_, all.steps) && can_be_turned(net_, more->steps)))
        return;
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

class ChainWriter {
 public:
  ChainWriter(Net& net, const ChainFinder& finder, Chains layout) : net_(net), finder_(finder), layout_(layout) {}

  void write(ElementChain chain) {
    const Shape shape = *net_.shape(chain.link.result);
    take_biases(chain);
    const bool is_turned =
        chain.depthwise != nullptr || std::ranges::any_of(chain.link.steps, is_resized) || turns(chain, shape);
    std::vector<std::string> inputs{chain.depthwise != nullptr ? chain.depthwise->input(0) : chain.start};
    std::vector<std::int64_t> steps, sizes{0};
    for (const ChainStep& step : chain.link.steps) {
      steps.push_back(static_cast<std::int64_t>(step.code));
      steps.push_back(takes_operand(step.code) ? number_of(step, inputs, sizes) : -1);
    }
    if (is_turned)
      for (std::string& name : inputs) name = turned(name);
    Made made{.domain = kOwnDomain, .attributes = {{.name = kChainSteps, .list = std::move(steps)}}};
    if (std::ranges::any_of(chain.link.steps, is_resized))
      made.attributes.push_back({.name = kChainSizes, .list = std::move(sizes)});
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
    if (!is_turned) return;
    net_.add("Transpose", {result},
             {.outputs = {chain.link.result}, .attributes = {{.name = "perm", .list = kToFirst}}});
    turned_back_.insert(chain.link.result);
  }

 private:
  static std::int64_t number_of(const ChainStep& step, std::vector<std::string>& inputs,
                                std::vector<std::int64_t>& sizes) {
    const auto size = static_cast<std::int64_t>(step.size);
    for (std::size_t i = 1; i < inputs.size(); ++i)
      if (inputs[i] == step.operand && sizes[i] == size) return static_cast<std::int64_t>(i);
    inputs.push_back(step.operand);
    sizes.push_back(size);
    return static_cast<std::int64_t>(inputs.size()) - 1;
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
    const auto is_convolved = [&](const std::string& name) {
      return convolved(name) || turned_back_.contains(name) || transposed_by(net_, name, kToFirst) != nullptr;
    };
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

  // With channels last. What is constant is computed when the graph is loaded.
  std::string turned(std::string name) {
    if (has_one_element(net_, name)) return name;
    if (const std::string* last = transposed_by(net_, name, kToFirst)) return *last;
    if (const Weights* weights = net_.constant(name); weights != nullptr && weights->dims_size() < 4) {
      Weights four = *weights;
      four.clear_dims();
      for (int i = weights->dims_size(); i < 4; ++i) four.add_dims(1);
      for (const std::int64_t side : weights->dims()) four.add_dims(side);
      name = net_.add_constant(std::move(four), "operand");
    }
    return net_.add("Transpose", {name}, {.attributes = {{.name = "perm", .list = kToLast}}});
  }

  Net& net_;
  const ChainFinder& finder_;
  Chains layout_;
  std::unordered_set<std::string> unbiased_, turned_back_;
};

}  // namespace

int fuse_chains(Net& net, Chains layout) {
  int found = 0;
  if (layout == Chains::kChannelsLast) {
    lay_rows_last(net);
    put_at_convolutions(net);
  }
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
