// Norms and activations.
#include <algorithm>
#include <array>
#include <cmath>

#include "graph/fusions.h"

namespace image_engine::graph {
namespace {

constexpr double kNear = 1e-3;
constexpr double kQuick = 1.702;  // of x · σ(1.702 x)

// The two operands and, where one is a product plus a vector that nothing else needs, that vector.
std::array<std::string, 3> biased(const Net& net, const std::string& a, const std::string& b) {
  if (const auto taken = net.only(a) ? bias_of(net, a) : std::nullopt) return {taken->first, b, taken->second};
  if (const auto taken = net.only(b) ? bias_of(net, b) : std::nullopt) return {a, taken->first, taken->second};
  return {a, b, ""};
}

bool fuse_skip_norm(Net& net, const Node* norm) {
  const Node* total = net.maker(norm->input(0), {"Add"});
  const Shape* shape = net.shape(norm->input(0));
  const std::int64_t axis = int_attribute(*norm, "axis", -1);
  if (total == nullptr || norm->input_size() < 3 || shape == nullptr || shape->size() != 3) return false;
  if (axis != -1 && axis != 2) return false;
  for (const std::string& name : total->input())
    if (net.shape(name) == nullptr || *net.shape(name) != *shape || net.constant(name) != nullptr) return false;
  const auto [a, b, bias] = biased(net, total->input(0), total->input(1));
  std::vector<std::string> inputs{a, b, norm->input(1), norm->input(2)};
  if (!bias.empty()) inputs.push_back(bias);
  std::vector<std::string> outputs{norm->output(0)};
  if (!net.only(total->output(0))) outputs.insert(outputs.end(), {"", "", total->output(0)});
  net.add("SkipLayerNormalization", inputs,
          {.outputs = outputs,
           .domain = kContrib,
           .attributes = {{.name = "epsilon", .real = float_attribute(*norm, "epsilon", 1e-5F)}}});
  return true;
}

// The factors that a Gelu's last products have gathered: x, the sum and a half, in any order.
struct Factors {
  bool has_x = false;
  double half = 1;
};

// Adds the other operand of a product; false where it is none of a Gelu's.
bool take_factor(const Net& net, const std::string& other, const std::string& x, Factors& factors) {
  if (const auto number = net.scalar(other)) {
    factors.half *= *number;
    return true;
  }
  if (factors.has_x) return false;
  factors.has_x = true;
  if (other == x) return true;
  const auto scaled = net.split_operand(net.maker(other, {"Mul"}));
  if (!scaled || scaled->first != x) return false;
  factors.half *= scaled->second;
  return true;
}

struct GeluParts {
  std::string x, result;
};
std::optional<GeluParts> gelu_parts(const Net& net, const Node* error) {
  const Node* scaled = net.maker(error->input(0), {"Div", "Mul"});
  const Node* plus = net.user(error->output(0), {"Add"});
  const auto operand = net.split_operand(scaled);
  const auto one = net.split_operand(plus);
  if (!operand || !one || !is_near(one->second, 1)) return std::nullopt;
  if (!is_near(operand->second, scaled->op_type() == "Div" ? std::sqrt(2.0) : std::sqrt(0.5))) return std::nullopt;
  std::string name = plus->output(0);
  Factors factors;
  for (int step = 0; step < 2; ++step) {
    const Node* product = net.user(name, {"Mul"});
    if (product == nullptr) return std::nullopt;
    const std::string& other = product->input(product->input(0) == name ? 1 : 0);
    if (!take_factor(net, other, operand->first, factors)) return std::nullopt;
    name = product->output(0);
    if (factors.has_x && is_near(factors.half, 0.5)) return GeluParts{operand->first, name};
  }
  return std::nullopt;
}

bool fuse_gelu(Net& net, const Node* error) {
  const auto parts = gelu_parts(net, error);
  if (!parts) return false;
  if (const auto taken = bias_of(net, parts->x))
    net.add("BiasGelu", {taken->first, taken->second}, {.outputs = {parts->result}, .domain = kContrib});
  else
    net.add("Gelu", {parts->x}, {.outputs = {parts->result}, .domain = kContrib});
  return true;
}

bool fuse_quick_gelu(Net& net, const Node* sigmoid) {
  const auto scaled = net.split_operand(net.maker(sigmoid->input(0), {"Mul"}));
  const Node* product = net.user(sigmoid->output(0), {"Mul"});
  if (product == nullptr || !scaled || !is_near(scaled->second, kQuick)) return false;
  const std::set<std::string> operands(product->input().begin(), product->input().end());
  if (operands != std::set<std::string>{scaled->first, sigmoid->output(0)}) return false;
  net.add("QuickGelu", {scaled->first},
          {.outputs = {product->output(0)},
           .domain = kContrib,
           .attributes = {{.name = "alpha", .real = static_cast<float>(scaled->second)}}});
  return true;
}

}  // namespace

bool is_near(std::optional<double> value, double wanted) {
  return value && std::abs(*value - wanted) <= kNear * std::abs(wanted);
}

std::optional<std::pair<std::string, std::string>> bias_of(const Net& net, const std::string& name) {
  const Node* added = net.maker(name, {"Add"});
  if (added == nullptr || added->input_size() != 2) return std::nullopt;
  for (const int i : {0, 1}) {
    const std::string &x = added->input(i), &vector = added->input(1 - i);
    const Shape* shape = net.constant(vector) != nullptr ? net.shape(vector) : nullptr;
    if (shape == nullptr || shape->size() != 1 || (*shape)[0].size <= 1) continue;
    if (net.maker(x, {"MatMul"}) != nullptr && net.only(x)) return std::pair(x, vector);
  }
  return std::nullopt;
}

int fuse_skip_norms(Net& net) {
  int found = 0;
  for (const Node* norm : net.nodes("LayerNormalization")) found += static_cast<int>(fuse_skip_norm(net, norm));
  net.clean();
  return found;
}

int fuse_gelus(Net& net) {
  int found = 0;
  for (const Node* error : net.nodes("Erf")) found += static_cast<int>(fuse_gelu(net, error));
  for (const Node* sigmoid : net.nodes("Sigmoid")) found += static_cast<int>(fuse_quick_gelu(net, sigmoid));
  net.clean();
  return found;
}

}  // namespace image_engine::graph
