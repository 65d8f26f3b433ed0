// An ONNX graph that is being rewritten: which node makes a tensor, which ones use it, what is constant, which shapes
// are known. A rewrite adds nodes that make a tensor in place of its maker; clean() removes what nothing uses any more.
// Not thread-safe.
#pragma once

#include <onnx/onnx.pb.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/result.h"
#include "graph/runtime.h"

namespace image_engine::graph {

inline constexpr std::string_view kContrib = "com.microsoft";  // the domain of ONNX Runtime's own operators

using Node = onnx::NodeProto;
using Weights = onnx::TensorProto;
using Ops = std::initializer_list<std::string_view>;

// Calls body(graph) for each subgraph of the node, not for those inside a subgraph.
void for_subgraphs(const Node& node, const std::function<void(const onnx::GraphProto&)>& body);
bool has_subgraphs(const Node& node);
// Adds the names that a graph's nodes and its subgraphs read, and its outputs.
void add_names_used_in(const onnx::GraphProto& graph, std::set<std::string>& names);
// The names of the node's inputs and those its subgraphs read, without empty ones.
std::set<std::string> names_read_by(const Node& node);

// The version of ONNX's own operators; 1 when the model does not state it.
std::int64_t opset_of(const onnx::ModelProto& model);

const onnx::AttributeProto* find_attribute(const Node& node, std::string_view name);
std::int64_t int_attribute(const Node& node, std::string_view name, std::int64_t otherwise);
float float_attribute(const Node& node, std::string_view name, float otherwise);
std::vector<std::int64_t> ints_attribute(const Node& node, std::string_view name);  // empty when absent

// An attribute of a new node.
struct Attribute {
  std::string name;
  std::optional<std::int64_t> number;
  std::optional<float> real;
  std::vector<std::int64_t> list;
};

// Of a new node; empty fields have the defaults of Net::add().
struct Made {
  std::vector<std::string> outputs;  // names that it takes over; a new name when empty
  std::string_view domain;
  std::optional<Shape> shape;
  std::vector<Attribute> attributes;
};

class Net {
 public:
  // Takes the model; `renames` and errors are those of infer_shapes().
  static Result<Net> create(onnx::ModelProto model, const Runtime& runtime, bool renames = false);

  // What is there

  // Those of ONNX or ONNX Runtime.
  [[nodiscard]] std::vector<Node*> nodes(std::string_view op) const;
  [[nodiscard]] const std::vector<std::unique_ptr<Node>>& all() const { return nodes_; }
  // The node that makes a tensor, if it is one of `ops` (any, when empty) of ONNX or ONNX Runtime; else null.
  [[nodiscard]] Node* maker(const std::string& name, Ops ops) const;
  [[nodiscard]] Node* any_maker(const std::string& name) const;
  // The only node that uses it, if it is one of `ops` of ONNX or ONNX Runtime; else null.
  [[nodiscard]] Node* user(const std::string& name, Ops ops) const;
  [[nodiscard]] std::span<Node* const> users(const std::string& name) const;
  // Whether one node uses it and it is no output of the graph.
  [[nodiscard]] bool only(const std::string& name) const;
  [[nodiscard]] bool is_result(const std::string& name) const { return results_.contains(name); }
  [[nodiscard]] const std::set<std::string>& results() const { return results_; }
  // Null when it is not constant.
  [[nodiscard]] const Weights* constant(const std::string& name) const;
  // Of a constant with a single element, of any numeric type.
  [[nodiscard]] std::optional<double> scalar(const std::string& name) const;
  // Null when unknown.
  [[nodiscard]] const Shape* shape(const std::string& name) const;
  // The size of the last dimension, where it is a known number.
  [[nodiscard]] std::optional<std::int64_t> last(const std::string& name) const;
  // The element type as in TensorProto::DataType; 0 when unknown.
  [[nodiscard]] int kind(const std::string& name) const;
  // Of a product or sum of two: the operand that is no number, and the number.
  [[nodiscard]] std::optional<std::pair<std::string, double>> split_operand(const Node* node) const;
  [[nodiscard]] std::int64_t opset() const { return opset_of(model_); }
  [[nodiscard]] onnx::ModelProto& model() { return model_; }

  // What is added

  std::string add_constant(Weights weights, std::string_view name);
  std::string fresh(std::string_view name);
  // A node; the name of its first output. A node whose output name it takes over gets an unused one.
  std::string add(std::string_view op, const std::vector<std::string>& inputs, const Made& made);
  // As it is; its outputs have new names.
  void add_node(Node node, std::optional<Shape> shape);
  void set_shape(const std::string& name, Shape shape) { shapes_[name] = std::move(shape); }
  void set_kind(const std::string& name, int kind) { kinds_[name] = kind; }
  // Replaces all nodes, in this order.
  void replace_nodes(std::vector<std::unique_ptr<Node>> nodes) { nodes_ = std::move(nodes); }
  std::vector<std::unique_ptr<Node>> take_nodes() { return std::move(nodes_); }

  // Removes nodes and constants that nothing needs, and sorts the rest by their order of computation.
  void clean();
  // The model with the domains that it uses, and without descriptions of tensors.
  onnx::ModelProto finish();

 private:
  Net() = default;
  void note(const TensorFacts& facts);
  void index();

  onnx::ModelProto model_;  // without its nodes and constants
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Weights>> weights_;
  std::unordered_map<std::string, Node*> makers_;
  std::unordered_map<std::string, std::vector<Node*>> users_;
  std::unordered_map<std::string, Weights*> constants_;
  std::unordered_map<std::string, int> kinds_;
  std::unordered_map<std::string, Shape> shapes_;
  std::set<std::string> results_;
  std::set<std::string> node_names_;  // those that the model came with
  std::int64_t count_ = 0;
};

// Whether the node is of one of the operators.
bool is_one_of(const Node& node, Ops ops);

}  // namespace image_engine::graph
