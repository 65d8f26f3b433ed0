// The products that make an attention's queries, keys and values.
#include <algorithm>

#include "graph/fusions.h"
#include "graph/linear.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

// x · W + b, times what constants follow; a matrix is stored by rows.
struct Linear {
  std::string x;
  std::int64_t high = 0, wide = 0;
  std::vector<float> weight, bias;
};

std::optional<Linear> linear_of(const Net& net, const std::string& name) {
  const Scaled at = through_factor(net, name, 1);
  const auto taken = bias_of(net, at.name);
  const Node* product = net.maker(taken ? taken->first : at.name, {"MatMul"});
  const Weights* weights = product != nullptr ? net.constant(product->input(1)) : nullptr;
  if (weights == nullptr || weights->dims_size() != 2) return std::nullopt;
  auto numbers = floats(*weights);
  if (!numbers) return std::nullopt;
  Linear made{product->input(0), weights->dims(0), weights->dims(1), std::move(*numbers), {}};
  made.bias.resize(static_cast<std::size_t>(made.wide));
  if (taken) {
    auto bias = floats(*net.constant(taken->second));
    if (!bias || bias->size() != made.bias.size()) return std::nullopt;
    made.bias = std::move(*bias);
  }
  const auto scale = static_cast<float>(at.scale);
  for (float& number : made.weight) number *= scale;
  for (float& number : made.bias) number *= scale;
  return made;
}

// The columns [from, from + wide) of each row.
std::vector<float> columns(const Linear& all, std::int64_t from, std::int64_t wide) {
  std::vector<float> made;
  made.reserve(static_cast<std::size_t>(all.high * wide));
  for (std::int64_t row = 0; row < all.high; ++row) {
    const auto first = all.weight.begin() + row * all.wide + from;
    made.insert(made.end(), first, first + wide);
  }
  return made;
}

// Of an attention whose inputs are parts of one product.
std::optional<std::vector<Linear>> split_product(const Net& net, const Node& node, const Node& split) {
  if (split.output_size() != 3) return std::nullopt;
  const std::int64_t axis = int_attribute(split, "axis", 0);
  const auto joined = linear_of(net, split.input(0));
  if (!joined || (axis != -1 && axis != 2) || joined->wide % 3 != 0) return std::nullopt;
  const std::int64_t wide = joined->wide / 3;
  std::vector<Linear> parts;
  for (const std::string& name : node.input()) {
    const auto at = std::ranges::find(split.output(), name) - split.output().begin();
    if (net.last(name) != wide) return std::nullopt;
    const auto first = joined->bias.begin() + at * wide;
    parts.push_back({joined->x, joined->high, wide, columns(*joined, at * wide, wide), {first, first + wide}});
  }
  return parts;
}

std::optional<std::vector<Linear>> three_products(const Net& net, const Node& node) {
  std::vector<Linear> parts;
  for (const std::string& name : node.input()) {
    auto part = linear_of(net, name);
    if (!part) return std::nullopt;
    const Linear& first = parts.empty() ? *part : parts[0];
    if (part->x != first.x || part->high != first.high || part->wide != first.wide) return std::nullopt;
    parts.push_back(std::move(*part));
  }
  return parts;
}

std::optional<std::vector<Linear>> projections(const Net& net, const Node& node) {
  const Shape* shape = net.shape(node.input(0));
  if (node.input_size() != 3 || shape == nullptr || shape->size() != 3) return std::nullopt;
  const Node* split = net.maker(node.input(0), {"Split"});
  if (split != nullptr && net.maker(node.input(1), {"Split"}) == split && net.maker(node.input(2), {"Split"}) == split)
    return split_product(net, node, *split);
  return three_products(net, node);
}

std::vector<float> joined_bias(const std::vector<Linear>& parts) {
  std::vector<float> made;
  for (const Linear& part : parts) made.insert(made.end(), part.bias.begin(), part.bias.end());
  return made;
}

// The matrices side by side. In the packed form the parts of each head are together: [in, head, part, size].
Weights joined_weight(const std::vector<Linear>& parts, std::int64_t run) {
  const std::int64_t high = parts[0].high, wide = parts[0].wide;
  std::vector<float> made;
  made.reserve(parts.size() * parts[0].weight.size());
  for (std::int64_t row = 0; row < high; ++row)
    for (std::int64_t from = 0; from < wide; from += run)
      for (const Linear& part : parts) {
        const auto first = part.weight.begin() + row * wide + from;
        made.insert(made.end(), first, first + run);
      }
  return float_tensor(made, {high, 3 * wide});
}

std::string bias_constant(Net& net, const std::vector<float>& bias) {
  return net.add_constant(float_tensor(bias, {static_cast<std::int64_t>(bias.size())}), "qkv_bias");
}

// What one attention is made of.
struct Job {
  std::vector<Linear> parts;
  Dimension batch, tokens;
  std::int64_t heads = 1;
  Made made;  // of the attention

  [[nodiscard]] Shape rows(std::int64_t width) const { return {batch, tokens, {width, {}}}; }
};

void add_separate(Net& net, const Job& job) {
  std::vector<std::string> inputs;
  const std::string bias = bias_constant(net, joined_bias(job.parts));
  for (const Linear& part : job.parts) {
    const std::string weight = net.add_constant(float_tensor(part.weight, {part.high, part.wide}), "weight");
    inputs.push_back(net.add("MatMul", {part.x, weight}, {.shape = job.rows(part.wide)}));
  }
  inputs.push_back(bias);
  net.add("MultiHeadAttention", inputs, job.made);
}

void add_joined(Net& net, const Job& job) {
  const std::string weight = net.add_constant(joined_weight(job.parts, job.parts[0].wide), "qkv_weight");
  net.add("Attention", {job.parts[0].x, weight, bias_constant(net, joined_bias(job.parts))}, job.made);
}

void add_packed(Net& net, const Job& job) {
  const std::int64_t wide = job.parts[0].wide, size = wide / job.heads;
  std::vector<float> bias;
  for (std::int64_t head = 0; head < job.heads; ++head)
    for (const Linear& part : job.parts)
      bias.insert(bias.end(), part.bias.begin() + head * size, part.bias.begin() + (head + 1) * size);
  const std::string weight = net.add_constant(joined_weight(job.parts, size), "qkv_weight");
  std::string name = net.add("MatMul", {job.parts[0].x, weight}, {.shape = job.rows(3 * wide)});
  name = net.add("Add", {name, bias_constant(net, bias)}, {.shape = job.rows(3 * wide)});
  const std::string five = net.add_constant(int_tensor({0, 0, job.heads, 3, size}), "heads");
  name =
      net.add("Reshape", {name, five}, {.shape = Shape{job.batch, job.tokens, {job.heads, {}}, {3, {}}, {size, {}}}});
  net.add("MultiHeadAttention", {name}, job.made);
}

constexpr void (*kWays[])(Net&, const Job&) = {add_separate, add_packed, add_joined};  // as Qkv

}  // namespace

int fuse_attention_inputs(Net& net, Qkv way) {
  int found = 0;
  for (const Node* node : net.nodes("MultiHeadAttention")) {
    auto parts = projections(net, *node);
    if (!parts) continue;
    const Shape* rows = net.shape((*parts)[0].x);
    if (rows == nullptr || rows->size() != 3) continue;
    Job job{std::move(*parts), (*rows)[0], (*rows)[1], int_attribute(*node, "num_heads", 1), {}};
    job.made = {.outputs = {node->output(0)},
                .domain = kContrib,
                .attributes = {{.name = "num_heads", .number = job.heads},
                               {.name = "scale", .real = float_attribute(*node, "scale", 1)}}};
    kWays[static_cast<std::size_t>(way)](net, job);
    ++found;
  }
  net.clean();
  return found;
}

}  // namespace image_engine::graph
