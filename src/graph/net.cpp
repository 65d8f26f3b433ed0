#include "graph/net.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "graph/chains.h"
#include "graph/shapes.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

bool is_onnx(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

bool is_known(std::string_view domain) { return is_onnx(domain) || domain == kContrib; }

template <typename T>
std::vector<std::unique_ptr<T>> taken(google::protobuf::RepeatedPtrField<T>* field) {
  std::vector<std::unique_ptr<T>> all(static_cast<std::size_t>(field->size()));
  for (std::size_t i = all.size(); i-- > 0;) all[i].reset(field->ReleaseLast());
  return all;
}

void add_attribute(Node& node, const Attribute& given) {
  onnx::AttributeProto* made = node.add_attribute();
  made->set_name(given.name);
  if (given.number) {
    made->set_type(onnx::AttributeProto::INT);
    made->set_i(*given.number);
  } else if (given.real) {
    made->set_type(onnx::AttributeProto::FLOAT);
    made->set_f(*given.real);
  } else {
    made->set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t number : given.list) made->add_ints(number);
  }
}

void add_domains(const Node& node, std::set<std::string>& domains) {
  domains.insert(node.domain());
  for_subgraphs(node, [&](const onnx::GraphProto& graph) {
    for (const Node& inner : graph.node()) add_domains(inner, domains);
  });
}

// The nodes that `results` need, each after those whose outputs it reads.
std::vector<Node*> in_order(const std::set<std::string>& results,
                            const std::unordered_map<std::string, Node*>& makers) {
  struct Step {
    Node* node;
    bool ready;
  };
  std::vector<Step> stack;
  const auto push = [&](const std::string& name) {
    if (const auto found = makers.find(name); found != makers.end()) stack.push_back({found->second, false});
  };
  std::for_each(results.rbegin(), results.rend(), push);
  std::vector<Node*> ordered;
  std::unordered_set<Node*> seen;
  while (!stack.empty()) {
    const Step step = stack.back();
    stack.pop_back();
    if (step.ready) {
      ordered.push_back(step.node);
    } else if (seen.insert(step.node).second) {
      stack.push_back({step.node, true});
      for (const std::string& name : names_read_by(*step.node)) push(name);
    }
  }
  return ordered;
}

}  // namespace

void for_subgraphs(const Node& node, const std::function<void(const onnx::GraphProto&)>& body) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) body(attribute.g());
    for (const onnx::GraphProto& graph : attribute.graphs()) body(graph);
  }
}

bool has_subgraphs(const Node& node) {
  return std::ranges::any_of(node.attribute(), [](const auto& a) { return a.has_g() || a.graphs_size() > 0; });
}

void add_names_used_in(const onnx::GraphProto& graph, std::set<std::string>& names) {
  for (const Node& node : graph.node()) {
    names.insert(node.input().begin(), node.input().end());
    for_subgraphs(node, [&](const onnx::GraphProto& inner) { add_names_used_in(inner, names); });
  }
  for (const onnx::ValueInfoProto& value : graph.output()) names.insert(value.name());
}

std::set<std::string> names_read_by(const Node& node) {
  std::set<std::string> names(node.input().begin(), node.input().end());
  for_subgraphs(node, [&](const onnx::GraphProto& graph) { add_names_used_in(graph, names); });
  names.erase("");
  return names;
}

std::int64_t opset_of(const onnx::ModelProto& model) {
  for (const auto& entry : model.opset_import())
    if (is_onnx(entry.domain())) return entry.version();
  return 1;
}

const onnx::AttributeProto* find_attribute(const Node& node, std::string_view name) {
  for (const onnx::AttributeProto& attribute : node.attribute())
    if (attribute.name() == name) return &attribute;
  return nullptr;
}

std::int64_t int_attribute(const Node& node, std::string_view name, std::int64_t otherwise) {
  const onnx::AttributeProto* found = find_attribute(node, name);
  return found != nullptr ? found->i() : otherwise;
}

float float_attribute(const Node& node, std::string_view name, float otherwise) {
  const onnx::AttributeProto* found = find_attribute(node, name);
  return found != nullptr ? found->f() : otherwise;
}

std::vector<std::int64_t> ints_attribute(const Node& node, std::string_view name) {
  const onnx::AttributeProto* found = find_attribute(node, name);
  if (found == nullptr) return {};
  return {found->ints().begin(), found->ints().end()};
}

bool is_one_of(const Node& node, Ops ops) { return std::ranges::find(ops, node.op_type()) != ops.end(); }

Result<Net> Net::create(onnx::ModelProto model, const Runtime& runtime, bool renames) {
  IE_TRY(const std::vector<TensorFacts> facts, infer_shapes(model, runtime, renames));
  Net net;
  net.model_ = std::move(model);
  onnx::GraphProto* graph = net.model_.mutable_graph();
  for (const TensorFacts& each : facts) net.note(each);
  net.nodes_ = taken(graph->mutable_node());
  if (renames)  // graphs without operators of ours keep the names that they always had
    for (const auto& node : net.nodes_) net.node_names_.insert(node->name());
  net.weights_ = taken(graph->mutable_initializer());
  for (const auto& weights : net.weights_) net.note(facts_of(*weights));
  net.index();
  return net;
}

void Net::note(const TensorFacts& facts) {
  kinds_[facts.name] = facts.kind;
  if (facts.shape) shapes_[facts.name] = *facts.shape;
}

void Net::index() {
  makers_.clear();
  users_.clear();
  constants_.clear();
  results_.clear();
  for (const auto& node : nodes_) {
    for (const std::string& name : node->output())
      if (!name.empty()) makers_[name] = node.get();
    for (const std::string& name : names_read_by(*node)) users_[name].push_back(node.get());
  }
  for (const auto& weights : weights_) constants_[weights->name()] = weights.get();
  for (const auto& value : model_.graph().output()) results_.insert(value.name());
}

std::vector<Node*> Net::nodes(std::string_view op) const {
  std::vector<Node*> found;
  for (const auto& node : nodes_)
    if (node->op_type() == op && is_known(node->domain())) found.push_back(node.get());
  return found;
}

Node* Net::any_maker(const std::string& name) const {
  const auto found = makers_.find(name);
  return found == makers_.end() ? nullptr : found->second;
}

Node* Net::maker(const std::string& name, Ops ops) const {
  Node* node = any_maker(name);
  if (node == nullptr || (ops.size() > 0 && !is_one_of(*node, ops))) return nullptr;
  return is_known(node->domain()) ? node : nullptr;
}

std::span<Node* const> Net::users(const std::string& name) const {
  const auto found = users_.find(name);
  if (found == users_.end()) return {};
  return found->second;
}

Node* Net::user(const std::string& name, Ops ops) const {
  Node* found = only(name) ? users(name)[0] : nullptr;
  return found != nullptr && is_one_of(*found, ops) && is_known(found->domain()) ? found : nullptr;
}

bool Net::only(const std::string& name) const { return users(name).size() == 1 && !is_result(name); }

const Weights* Net::constant(const std::string& name) const {
  const auto found = constants_.find(name);
  return found == constants_.end() ? nullptr : found->second;
}

std::optional<double> Net::scalar(const std::string& name) const {
  const Weights* weights = constant(name);
  return weights != nullptr && count_of(*weights) == 1 ? number_at(*weights, 0) : std::nullopt;
}

const Shape* Net::shape(const std::string& name) const {
  const auto found = shapes_.find(name);
  return found == shapes_.end() ? nullptr : &found->second;
}

std::optional<std::int64_t> Net::last(const std::string& name) const {
  const Shape* found = shape(name);
  if (found == nullptr || found->empty() || !found->back().is_known()) return std::nullopt;
  return found->back().size;
}

int Net::kind(const std::string& name) const {
  const auto found = kinds_.find(name);
  return found == kinds_.end() ? 0 : found->second;
}

std::optional<std::pair<std::string, double>> Net::split_operand(const Node* node) const {
  if (node == nullptr || node->input_size() != 2) return std::nullopt;
  for (const int i : {0, 1})
    if (const auto number = scalar(node->input(1 - i))) return std::pair(node->input(i), *number);
  return std::nullopt;
}

std::string Net::add_constant(Weights weights, std::string_view name) {
  weights.set_name(fresh(name));
  weights_.push_back(std::make_unique<Weights>(std::move(weights)));
  constants_[weights_.back()->name()] = weights_.back().get();
  note(facts_of(*weights_.back()));
  return weights_.back()->name();
}

std::string Net::fresh(std::string_view name) {
  while (true) {
    std::string made = fmt::format("{}_{}", name, ++count_);
    if (!kinds_.contains(made) && !makers_.contains(made) && !node_names_.contains(made)) return made;
  }
}

std::string Net::add(std::string_view op, const std::vector<std::string>& inputs, const Made& made) {
  std::vector<std::string> names = made.outputs;
  if (names.empty()) names.push_back(fresh(fmt::format("made_{}", op)));
  for (const std::string& name : names) {
    if (Node* old = name.empty() ? nullptr : any_maker(name))
      *std::ranges::find(*old->mutable_output(), name) = fresh("unused");
  }
  Node node;
  node.set_op_type(std::string(op));
  node.set_domain(std::string(made.domain));
  node.set_name(fresh(fmt::format("{}_", op)));
  for (const std::string& name : inputs) node.add_input(name);
  for (const std::string& name : names) node.add_output(name);
  for (const Attribute& attribute : made.attributes) add_attribute(node, attribute);
  add_node(std::move(node), made.shape);
  return names[0];
}

void Net::add_node(Node node, std::optional<Shape> shape) {
  nodes_.push_back(std::make_unique<Node>(std::move(node)));
  for (const std::string& name : nodes_.back()->output()) {
    if (name.empty()) continue;
    makers_[name] = nodes_.back().get();
    kinds_.try_emplace(name, static_cast<int>(onnx::TensorProto::FLOAT));
    if (shape) shapes_.try_emplace(name, *shape);
  }
}

void Net::clean() {
  index();
  const std::vector<Node*> ordered = in_order(results_, makers_);
  std::unordered_map<Node*, std::unique_ptr<Node>> owned;
  for (auto& node : nodes_) owned[node.get()] = std::move(node);
  nodes_.clear();
  for (Node* node : ordered) nodes_.push_back(std::move(owned[node]));
  owned.clear();
  index();
  std::erase_if(weights_,
                [&](const auto& weights) { return !users_.contains(weights->name()) && !is_result(weights->name()); });
  index();
}

onnx::ModelProto Net::finish() {
  clean();
  onnx::GraphProto* graph = model_.mutable_graph();
  graph->clear_value_info();
  std::set<std::string> domains;
  for (const auto& node : nodes_) add_domains(*node, domains);
  std::vector<onnx::OperatorSetIdProto> kept;
  for (const auto& entry : model_.opset_import())
    if (is_onnx(entry.domain()) || domains.contains(entry.domain())) kept.push_back(entry);
  for (const std::string_view domain : {kContrib, std::string_view(kOwnDomain)}) {
    if (!domains.contains(std::string(domain)) ||
        std::ranges::count(kept, domain, &onnx::OperatorSetIdProto::domain) > 0)
      continue;
    kept.emplace_back().set_domain(std::string(domain));
    kept.back().set_version(1);
  }
  model_.mutable_opset_import()->Assign(kept.begin(), kept.end());
  for (auto& node : nodes_) graph->mutable_node()->AddAllocated(node.release());
  for (auto& weights : weights_) graph->mutable_initializer()->AddAllocated(weights.release());
  nodes_.clear();
  weights_.clear();
  return std::move(model_);
}

}  // namespace image_engine::graph
