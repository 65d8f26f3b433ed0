#include "graph/shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "graph/load.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

constexpr std::size_t kLargeWeights = 1024;  // numbers; targets, scales and indices have fewer

bool is_large(const onnx::TensorProto& tensor) {
  return tensor.data_type() == onnx::TensorProto::FLOAT && count_of(tensor) >= kLargeWeights;
}

void add_input(const onnx::TensorProto& weights, onnx::GraphProto* graph) {
  onnx::ValueInfoProto* made = graph->add_input();
  made->set_name(weights.name());
  onnx::TypeProto::Tensor* type = made->mutable_type()->mutable_tensor_type();
  type->set_elem_type(weights.data_type());
  type->mutable_shape();
  for (const std::int64_t side : weights.dims()) type->mutable_shape()->add_dim()->set_dim_value(side);
}

TensorFacts facts_of_input(const onnx::ValueInfoProto& value) {
  Shape shape;
  for (const auto& dim : value.type().tensor_type().shape().dim())
    shape.push_back(dim.has_dim_value() ? Dimension{dim.dim_value(), {}} : Dimension{-1, dim.dim_param()});
  return {value.name(), value.type().tensor_type().elem_type(), std::move(shape)};
}

// Sizes of two attempts that no size in a graph is likely to be a multiple of, for one free dimension after the other.
constexpr std::int64_t kSizes[][2] = {{7, 11}, {13, 17}, {19, 23}, {29, 31}, {37, 41}, {43, 47}};

onnx::ModelProto with_all_outputs(onnx::ModelProto probe) {
  onnx::GraphProto* graph = probe.mutable_graph();
  std::set<std::string> outputs;
  for (const auto& value : graph->output()) outputs.insert(value.name());
  for (const onnx::NodeProto& node : graph->node())
    for (const std::string& name : node.output())
      if (!name.empty() && outputs.insert(name).second) graph->add_output()->set_name(name);
  return probe;
}

// How many free dimensions the inputs have; those of one name are one.
std::size_t count_free(const onnx::ModelProto& model) {
  std::set<std::string> names;
  std::size_t unnamed = 0;
  for (const auto& value : model.graph().input())
    for (const auto& dim : value.type().tensor_type().shape().dim()) {
      if (dim.has_dim_value()) continue;
      if (dim.dim_param().empty())
        ++unnamed;
      else
        names.insert(dim.dim_param());
    }
  return names.size() + unnamed;
}

// With the free dimensions of the inputs fixed, and those of the outputs to be inferred.
onnx::ModelProto with_sizes(onnx::ModelProto probe, int attempt) {
  std::map<std::string, std::int64_t> sizes;
  std::size_t next = 0;
  const auto size_of = [&](const std::string& name) {
    if (const auto known = sizes.find(name); known != sizes.end()) return known->second;
    const std::int64_t size = kSizes[next++][attempt];
    if (!name.empty()) sizes[name] = size;
    return size;
  };
  for (auto& value : *probe.mutable_graph()->mutable_input())
    if (value.type().has_tensor_type() && value.type().tensor_type().has_shape())
      for (auto& dim : *value.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim())
        if (!dim.has_dim_value()) dim.set_dim_value(size_of(dim.dim_param()));
  for (auto& value : *probe.mutable_graph()->mutable_output()) value.clear_type();
  return probe;
}

void add_inputs(const onnx::ModelProto& model, std::vector<TensorFacts>& facts) {
  for (const auto& value : model.graph().input())
    if (value.type().has_tensor_type() && value.type().tensor_type().has_shape())
      facts.push_back(facts_of_input(value));
}

using FactsByName = std::unordered_map<std::string, TensorFacts>;

// Of the tensors that are left once the sizes are known and what follows from them is computed.
Result<FactsByName> facts_at(const onnx::ModelProto& small, int attempt, const Runtime& runtime) {
  IE_TRY(const std::string bytes, runtime.fold(with_sizes(small, attempt).SerializeAsString()));
  IE_TRY(const onnx::ModelProto sized, parse_model(bytes, "the folded graph"));
  IE_TRY(std::vector<TensorFacts> facts, runtime.infer(with_all_outputs(sized).SerializeAsString()));
  add_inputs(sized, facts);
  FactsByName named;
  for (TensorFacts& each : facts) named[each.name] = std::move(each);
  return named;
}

std::optional<Shape> merged(const std::optional<Shape>& first, const std::optional<Shape>& second) {
  if (!first || !second || first->size() != second->size()) return std::nullopt;
  Shape shape;
  for (std::size_t i = 0; i < first->size(); ++i) {
    const Dimension &a = (*first)[i], &b = (*second)[i];
    const bool is_known = a.is_known() && b.is_known();
    shape.push_back(is_known && a.size != b.size ? Dimension{-1, fmt::format("{}/{}", a.size, b.size)}
                                                 : Dimension{is_known ? a.size : -1, {}});
  }
  return shape;
}

// Of free dimensions: what the runtime calls them, and what they are called once two sizes are known.
void add_names(const Shape& before, const Shape& after, std::map<std::string, std::string>& names) {
  if (before.size() != after.size()) return;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (!before[i].name.empty() && !after[i].name.empty()) names[before[i].name] = after[i].name;
}

void rename(const std::map<std::string, std::string>& names, Shape& shape) {
  for (Dimension& dimension : shape)
    if (const auto found = names.find(dimension.name); found != names.end()) dimension.name = found->second;
}

}  // namespace

onnx::ModelProto without_weights(const onnx::ModelProto& model) {
  onnx::ModelProto made;
  made.set_ir_version(model.ir_version());
  *made.mutable_opset_import() = model.opset_import();
  *made.mutable_functions() = model.functions();
  onnx::GraphProto* graph = made.mutable_graph();
  graph->set_name(model.graph().name());
  *graph->mutable_node() = model.graph().node();
  *graph->mutable_input() = model.graph().input();
  *graph->mutable_output() = model.graph().output();
  *graph->mutable_sparse_initializer() = model.graph().sparse_initializer();
  std::set<std::string> inputs;
  for (const auto& value : graph->input()) inputs.insert(value.name());
  for (const auto& weights : model.graph().initializer()) {
    if (!is_large(weights))
      *graph->add_initializer() = weights;
    else if (!inputs.contains(weights.name()))
      add_input(weights, graph);
  }
  return made;
}

Result<std::vector<TensorFacts>> infer_shapes(const onnx::ModelProto& model, const Runtime& runtime, bool renames) {
  const onnx::ModelProto small = without_weights(model);
  IE_TRY(std::vector<TensorFacts> facts, runtime.infer(with_all_outputs(small).SerializeAsString()));
  add_inputs(small, facts);
  const std::size_t free = count_free(small);
  if (free == 0 || free > std::size(kSizes)) return facts;
  const auto first = facts_at(small, 0, runtime), second = facts_at(small, 1, runtime);
  if (!first || !second) return facts;  // a graph that takes no such sizes
  std::map<std::string, std::string> names;
  std::vector<TensorFacts*> folded_away;
  for (TensorFacts& each : facts) {
    const auto a = first->find(each.name), b = second->find(each.name);
    auto shape = a != first->end() && b != second->end() ? merged(a->second.shape, b->second.shape) : std::nullopt;
    if (!shape) {
      folded_away.push_back(&each);
      continue;
    }
    if (renames && each.shape) add_names(*each.shape, *shape, names);
    each.shape = std::move(shape);
  }
  for (TensorFacts* each : folded_away)
    if (each->shape) rename(names, *each->shape);
  return facts;
}

}  // namespace image_engine::graph
