// Norms of rows as nodes of an operator of ours.
#include <algorithm>

#include "graph/chains.h"
#include "graph/channels_last.h"
#include "graph/fusions.h"

namespace image_engine::graph {
namespace {

constexpr float kUsualEpsilon = 1e-5F;       // ONNX's
constexpr float kUsualSkipEpsilon = 1e-12F;  // ONNX Runtime's, where it adds before

bool has_output(const Node& node, int i) { return node.output_size() > i && !node.output(i).empty(); }

struct NormParts {
  std::vector<std::string> inputs;  // as the operator has them
  std::string sum;                  // empty: nothing needs it
  float epsilon;
};

std::optional<NormParts> parts_of(const Net& net, const Node& node) {
  const int rank = net.shape(node.input(0)) != nullptr ? static_cast<int>(net.shape(node.input(0))->size()) : 0;
  if (rank == 0 || has_output(node, 1) || has_output(node, 2)) return std::nullopt;
  if (node.op_type() == "LayerNormalization") {
    const std::int64_t axis = int_attribute(node, "axis", -1);
    if ((axis != -1 && axis != rank - 1) || node.input_size() != 3) return std::nullopt;
    return NormParts{
        {node.input(0), node.input(1), node.input(2)}, "", float_attribute(node, "epsilon", kUsualEpsilon)};
  }
  if (node.input_size() < 4 || node.input(3).empty()) return std::nullopt;
  NormParts parts{{node.input(0), node.input(2), node.input(3), node.input(1)},
                  has_output(node, 3) ? node.output(3) : "",
                  float_attribute(node, "epsilon", kUsualSkipEpsilon)};
  if (node.input_size() > 4 && !node.input(4).empty()) parts.inputs.push_back(node.input(4));
  return parts;
}

// Whether there is a kernel for these.
bool fits(const Net& net, const NormParts& parts) {
  const std::string& rows = parts.inputs[0];
  const auto channels = net.last(rows);
  if (!channels || *channels % kNormChannels != 0 || *channels > kMostNormChannels || !is_real(net.kind(rows)))
    return false;
  for (std::size_t i = 1; i < parts.inputs.size(); ++i) {
    const Shape* shape = net.shape(parts.inputs[i]);
    const Shape wanted = i == 3 ? *net.shape(rows) : Shape{{*channels, {}}};
    if (shape == nullptr || *shape != wanted || net.kind(parts.inputs[i]) != net.kind(rows)) return false;
  }
  return true;
}

bool fuse_norm(Net& net, const Node* node) {
  const auto parts = parts_of(net, *node);
  if (!parts || !fits(net, *parts) || net.kind(node->output(0)) != net.kind(node->input(0))) return false;
  Made made{.outputs = {node->output(0)},
            .domain = kOwnDomain,
            .shape = *net.shape(node->input(0)),
            .attributes = {{.name = kNormEpsilon, .real = parts->epsilon}}};
  const bool is_half = net.kind(node->input(0)) == onnx::TensorProto::FLOAT16;
  const char* op = is_half ? kNormHalf : kNormFull;
  if (!parts->sum.empty()) {
    op = is_half ? kNormSumHalf : kNormSumFull;
    made.outputs.push_back(parts->sum);
  }
  net.add(op, parts->inputs, made);
  return true;
}

}  // namespace

int fuse_norms(Net& net) {
  int found = 0;
  for (const char* op : {"LayerNormalization", "SkipLayerNormalization"})
    for (const Node* node : net.nodes(op)) found += static_cast<int>(fuse_norm(net, node));
  net.clean();
  return found;
}

}  // namespace image_engine::graph
