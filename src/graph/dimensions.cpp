#include "graph/dimensions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <unordered_map>

#include "core/text.h"
#include "graph/load.h"
#include "graph/net.h"
#include "graph/shapes.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

constexpr std::int64_t kProbes[] = {7, 11};  // batches that no size in a graph is likely to be a multiple of

std::vector<onnx::ValueInfoProto*> real_inputs(onnx::ModelProto& model) {
  std::set<std::string> weights;
  for (const auto& tensor : model.graph().initializer()) weights.insert(tensor.name());
  std::vector<onnx::ValueInfoProto*> inputs;
  for (auto& value : *model.mutable_graph()->mutable_input())
    if (!weights.contains(value.name())) inputs.push_back(&value);
  return inputs;
}

auto* dims_of(onnx::ValueInfoProto* value) {
  return value->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim();
}

Status fix_batch(onnx::ValueInfoProto* value, std::int64_t batch, std::map<std::string, std::int64_t>& named) {
  if (!value->type().tensor_type().has_shape() || dims_of(value)->empty()) return {};
  auto& first = dims_of(value)->at(0);
  if (first.has_dim_value() && first.dim_value() > 0) {
    if (first.dim_value() == batch) return {};
    return fail(ErrorCode::kInvalidArgument, fmt::format("the input {} has the fixed batch {}, not {}",
                                                         printable(value->name()), first.dim_value(), batch));
  }
  if (!first.dim_param().empty())
    named.try_emplace(first.dim_param(), batch);
  else
    first.set_dim_value(batch);
  return {};
}

void set_named(onnx::ValueInfoProto* value, const std::map<std::string, std::int64_t>& named) {
  if (!value->type().tensor_type().has_shape()) return;
  for (auto& dim : *dims_of(value))
    if (const auto found = named.find(dim.dim_param()); found != named.end()) dim.set_dim_value(found->second);
}

using Ranks = std::unordered_map<std::string, std::int64_t>;

// Changes a node to a later version; `graph` takes new constants, and nodes before it. False where that is not
// possible.
using Lifter = bool (*)(onnx::GraphProto& graph, onnx::NodeProto& node, const Ranks& ranks);

bool attribute_to_input(onnx::GraphProto& graph, onnx::NodeProto& node, std::string_view name) {
  auto* attributes = node.mutable_attribute();
  const auto found = std::ranges::find(*attributes, name, [](const auto& attribute) { return attribute.name(); });
  if (found == attributes->end()) return true;
  onnx::TensorProto made = int_tensor({found->ints().begin(), found->ints().end()});
  made.set_name(fmt::format("{}_{}_lifted", node.output(0), name));
  node.add_input(made.name());
  *graph.add_initializer() = std::move(made);
  attributes->erase(found);
  return true;
}
bool lift_axes(onnx::GraphProto& graph, onnx::NodeProto& node, const Ranks& /*ranks*/) {
  return attribute_to_input(graph, node, "axes");
}
bool lift_split(onnx::GraphProto& graph, onnx::NodeProto& node, const Ranks& /*ranks*/) {
  return attribute_to_input(graph, node, "split");
}
onnx::NodeProto* add_step(onnx::GraphProto& graph, std::string_view op, std::string_view input,
                          const std::string& output) {
  onnx::NodeProto* made = graph.add_node();
  made->set_op_type(std::string(op));
  made->set_name(output);
  made->add_input(std::string(input));
  made->add_output(output);
  return made;
}

// Before 13 it flattened the dimensions from `axis` on: the same only for the last.
bool lift_softmax(onnx::GraphProto& graph, onnx::NodeProto& node, const Ranks& ranks) {
  const std::int64_t axis = int_attribute(node, "axis", 1);
  const auto rank = ranks.find(node.output(0));
  node.clear_attribute();  // the default is now the last
  if (axis == -1 || (rank != ranks.end() && axis == rank->second - 1)) return true;
  const std::string x = node.input(0), name = node.output(0);
  add_step(graph, "Shape", x, name + "_shape");
  onnx::AttributeProto* from = add_step(graph, "Flatten", x, name + "_rows")->add_attribute();
  from->set_name("axis");
  from->set_type(onnx::AttributeProto::INT);
  from->set_i(axis);
  add_step(graph, node.op_type(), name + "_rows", name + "_flat");
  node.set_op_type("Reshape");
  node.set_input(0, name + "_flat");
  node.add_input(name + "_shape");
  return true;
}
bool lift_never(onnx::GraphProto& /*graph*/, onnx::NodeProto& /*node*/, const Ranks& /*ranks*/) { return false; }

struct LiftRow {
  std::string_view op;
  std::int64_t below;  // the version that changed it
  Lifter lift;
};
constexpr LiftRow kLifters[] = {
    {"Squeeze", 13, lift_axes},    {"Unsqueeze", 13, lift_axes},  {"ReduceSum", 13, lift_axes},
    {"Split", 13, lift_split},     {"Softmax", 13, lift_softmax}, {"LogSoftmax", 13, lift_softmax},
    {"Hardmax", 13, lift_softmax}, {"Dropout", 12, lift_never},   {"RoiAlign", 16, lift_never},
};
constexpr std::int64_t kLeastOpset = 17, kLeastLifted = 11;

bool lift_node(onnx::GraphProto& graph, onnx::NodeProto& node, std::int64_t version, const Ranks& ranks) {
  const auto row = std::ranges::find(kLifters, node.op_type(), &LiftRow::op);
  if (row == std::end(kLifters) || version >= row->below) return true;
  return row->lift(graph, node, ranks);
}

struct Target {
  std::vector<std::int64_t> sizes;  // empty: not constant
  Shape before;
};
using Targets = std::unordered_map<std::string, Target>;  // by the Reshape's name, which only it has

// With the size that a single −1 stands for, where all others are known.
std::vector<std::int64_t> explicit_sizes(std::vector<std::int64_t> sizes, const Shape& before) {
  const bool is_known = std::ranges::all_of(before, [](const Dimension& dimension) { return dimension.size > 0; });
  if (!is_known || std::ranges::count(sizes, -1) != 1 || std::ranges::count(sizes, 0) > 0) return sizes;
  std::int64_t numbers = 1, rest = 1;
  for (const Dimension& dimension : before) numbers *= dimension.size;
  for (const std::int64_t size : sizes) rest *= std::abs(size);
  *std::ranges::find(sizes, -1) = numbers / rest;
  return sizes;
}

Result<Targets> targets_at(const onnx::ModelProto& model, std::int64_t batch, const Runtime& runtime) {
  onnx::ModelProto probe = without_weights(model);
  std::map<std::string, std::int64_t> named;
  std::set<std::string> weights;  // inputs now, which keep their sizes
  for (const auto& tensor : model.graph().initializer()) weights.insert(tensor.name());
  for (auto& input : *probe.mutable_graph()->mutable_input())
    if (!weights.contains(input.name())) IE_CHECK(fix_batch(&input, batch, named));
  for (auto& input : *probe.mutable_graph()->mutable_input()) set_named(&input, named);
  for (auto& output : *probe.mutable_graph()->mutable_output()) set_named(&output, named);
  IE_TRY(onnx::ModelProto small, folded(probe, runtime));
  IE_TRY(const Net net, Net::create(std::move(small), runtime));
  std::unordered_map<std::string, int> names;
  for (const Node* node : net.nodes("Reshape")) ++names[node->name()];
  Targets targets;
  for (const Node* node : net.nodes("Reshape")) {
    const Weights* sizes = net.constant(node->input(1));
    const Shape* before = net.shape(node->input(0));
    if (names[node->name()] != 1 || sizes == nullptr || before == nullptr) continue;
    targets[node->name()] = {explicit_sizes(whole_numbers(*sizes).value_or(std::vector<std::int64_t>()), *before),
                             *before};
  }
  return targets;
}

// The sizes with 0 (copied) or −1 in place of the one that follows the batch; nothing where more than one does.
std::optional<std::vector<std::int64_t>> common_target(const Target& a, const Target& b) {
  std::vector<std::int64_t> sizes = a.sizes;
  if (a.sizes.empty() || a.before.empty() || a.sizes.size() != b.sizes.size() || a.before.size() != b.before.size())
    return std::nullopt;
  int free = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] <= 0) return std::nullopt;
    if (a.sizes[i] == b.sizes[i]) continue;
    const bool copied = i < a.before.size() && a.before[i].size == a.sizes[i] && b.before[i].size == b.sizes[i];
    sizes[i] = copied ? 0 : -1;
    ++free;
  }
  return free <= 1 ? std::optional(sizes) : std::nullopt;
}

bool has_free_batch_only(onnx::ModelProto& model) {
  return std::ranges::all_of(real_inputs(model), [](onnx::ValueInfoProto* value) {
    const auto& dims = value->type().tensor_type().shape().dim();
    return !dims.empty() && !dims[0].has_dim_value() &&
           std::all_of(dims.begin() + 1, dims.end(), [](const auto& dim) { return dim.has_dim_value(); });
  });
}

}  // namespace

Status fix_dimensions(onnx::ModelProto& model, std::int64_t batch, std::map<std::string, std::int64_t> named) {
  const bool changes = batch > 0 || !named.empty();
  const std::vector<onnx::ValueInfoProto*> inputs = real_inputs(model);
  if (batch > 0)
    for (onnx::ValueInfoProto* value : inputs) IE_CHECK(fix_batch(value, batch, named));
  std::set<std::string> known;
  for (const onnx::ValueInfoProto* value : inputs)
    for (const auto& dim : value->type().tensor_type().shape().dim())
      if (!dim.dim_param().empty()) known.insert(printable(dim.dim_param()));
  for (const auto& [name, size] : named)
    if (!known.contains(printable(name)))
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("no input has a dimension '{}'; there are: {}", printable(name),
                              known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
  for (onnx::ValueInfoProto* value : inputs) set_named(value, named);
  for (auto& value : *model.mutable_graph()->mutable_output()) set_named(&value, named);
  if (changes) model.mutable_graph()->clear_value_info();
  return {};
}

void lift(onnx::ModelProto& model, const Runtime& runtime) {
  const std::int64_t version = opset_of(model);
  if (version >= kLeastOpset || version < kLeastLifted) return;
  const bool only_onnx = std::ranges::all_of(
      model.opset_import(), [](const auto& entry) { return entry.domain().empty() || entry.domain() == "ai.onnx"; });
  if (!only_onnx || model.functions_size() > 0) return;
  if (std::ranges::any_of(model.graph().node(), [](const auto& node) { return has_subgraphs(node); })) return;
  const auto facts = infer_shapes(model, runtime);
  if (!facts) return;
  Ranks ranks;
  for (const TensorFacts& each : *facts)
    if (each.shape) ranks[each.name] = static_cast<std::int64_t>(each.shape->size());
  onnx::GraphProto graph;  // only the nodes and the new constants: the weights are not copied
  for (onnx::NodeProto node : model.graph().node()) {
    if (!lift_node(graph, node, version, ranks)) return;
    *graph.add_node() = std::move(node);
  }
  model.mutable_graph()->mutable_node()->Swap(graph.mutable_node());
  for (auto& tensor : *graph.mutable_initializer()) *model.mutable_graph()->add_initializer() = std::move(tensor);
  for (auto& entry : *model.mutable_opset_import()) entry.set_version(kLeastOpset);
  constexpr std::int64_t kLeastIr = 8;  // of that version
  model.set_ir_version(std::max(model.ir_version(), kLeastIr));
}

Result<onnx::ModelProto> folded(const onnx::ModelProto& model, const Runtime& runtime) {
  IE_TRY(const std::string bytes, runtime.fold(model.SerializeAsString()));
  IE_TRY(onnx::ModelProto made, parse_model(bytes, "the folded graph"));
  onnx::GraphProto* graph = made.mutable_graph();
  auto* nodes = graph->mutable_node();
  for (auto& node : *nodes) {
    if (node.op_type() != "Constant" || node.attribute_size() == 0 || !node.attribute(0).has_t()) continue;
    graph->add_initializer()->Swap(node.mutable_attribute(0)->mutable_t());
    graph->mutable_initializer()->rbegin()->set_name(node.output(0));
  }
  const auto is_constant = [](const onnx::NodeProto& node) {
    return node.op_type() == "Constant" && node.attribute_size() > 0 && node.attribute(0).has_t();
  };
  nodes->erase(std::remove_if(nodes->begin(), nodes->end(), is_constant), nodes->end());
  return made;
}

void make_targets_constant(onnx::ModelProto& model, const Runtime& runtime) {
  if (!has_free_batch_only(model)) return;
  const auto first = targets_at(model, kProbes[0], runtime), second = targets_at(model, kProbes[1], runtime);
  if (!first || !second) return;  // a graph that takes no such batch
  std::set<std::string> constants;
  for (const auto& tensor : model.graph().initializer()) constants.insert(tensor.name());
  onnx::GraphProto* graph = model.mutable_graph();
  std::vector<std::pair<onnx::NodeProto*, std::string>> before;
  for (auto& node : *graph->mutable_node()) {
    const auto a = first->find(node.name()), b = second->find(node.name());
    if (node.op_type() != "Reshape" || constants.contains(node.input(1)) || a == first->end() || b == second->end())
      continue;
    const auto sizes = common_target(a->second, b->second);
    if (!sizes) continue;
    onnx::TensorProto* target = graph->add_initializer();
    *target = int_tensor(*sizes);
    target->set_name(node.name() + "_target");
    before.emplace_back(&node, node.input(1));
    node.set_input(1, target->name());
  }
  if (before.empty()) return;
  if (auto made = folded(model, runtime)) {
    model = std::move(*made);
    return;
  }
  // Its shapes differ from these.
  for (const auto& [node, target] : before) {
    node->set_input(1, target);
    graph->mutable_initializer()->RemoveLast();
  }
}

}  // namespace image_engine::graph
