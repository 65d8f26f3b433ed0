// Products of pictures that were made larger are computed before they are: of fewer places, and without a
// concatenation.
#include <algorithm>
#include <span>
#include <utility>

#include "graph/channels_last.h"
#include "graph/fusions.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

// A 1 × 1 convolution of pictures that lie behind each other.
struct JoinedProduct {
  const Node* convolution;
  std::vector<std::string> parts;
  std::vector<float> weights;  // [outputs, inputs]
  std::int64_t outputs, inputs;
  std::size_t largest;  // the part that is not made larger
};

bool is_product_of_places(const Net& net, const Node& node) {
  const Weights* weights = net.constant(node.input(1));
  const auto [strides, pads] = strides_of(node);
  return node.op_type() == "Conv" && weights != nullptr && weights->dims_size() == 4 && weights->dims(2) == 1 &&
         weights->dims(3) == 1 && int_attribute(node, "group", 1) == 1 &&
         std::ranges::all_of(strides, [](std::int64_t stride) { return stride == 1; }) &&
         std::ranges::all_of(pads, [](std::int64_t pad) { return pad == 0; });
}

// Without what makes it larger.
Resized source_of(const Net& net, const std::string& part) {
  return resized(net, part).value_or(Resized{part, OperandSize::kSame});
}

std::optional<JoinedProduct> joined_product(const Net& net, const Node& node) {
  if (!is_product_of_places(net, node)) return std::nullopt;
  const Node* concat = net.maker(node.input(0), {"Concat"});
  const auto weights = floats(*net.constant(node.input(1)));
  if (concat == nullptr || !weights || int_attribute(*concat, "axis", 0) != 1 || net.is_result(node.input(0)))
    return std::nullopt;
  const auto is_such = [&](const Node* user) { return is_product_of_places(net, *user); };
  if (!std::ranges::all_of(net.users(node.input(0)), is_such)) return std::nullopt;
  JoinedProduct found{.convolution = &node, .parts = {concat->input().begin(), concat->input().end()}};
  found.weights = *weights;
  found.outputs = net.constant(node.input(1))->dims(0);
  found.inputs = net.constant(node.input(1))->dims(1);
  std::size_t same = 0;
  std::int64_t left = found.inputs;
  for (std::size_t i = 0; i < found.parts.size(); ++i) {
    const Shape* shape = net.shape(found.parts[i]);
    if (shape == nullptr || shape->size() != 4 || !net.only(found.parts[i])) return std::nullopt;
    if (!std::ranges::all_of(shape->begin() + 1, shape->end(), &Dimension::is_known)) return std::nullopt;
    if ((*shape)[1].size > left) return std::nullopt;
    left -= (*shape)[1].size;
    if (source_of(net, found.parts[i]).size != OperandSize::kSame) continue;
    found.largest = i;
    ++same;
  }
  const bool has_bias = node.input_size() > 2;
  const Weights* bias = has_bias ? net.constant(node.input(2)) : nullptr;
  const auto numbers = bias != nullptr ? floats(*bias) : std::nullopt;
  if (has_bias && (!numbers || std::cmp_not_equal(numbers->size(), found.outputs))) return std::nullopt;
  if (left != 0) return std::nullopt;
  if (same != 1 || found.parts.size() < 2 || net.shape(node.output(0)) == nullptr) return std::nullopt;
  return found;
}

class ResizedWriter {
 public:
  ResizedWriter(Net& net, const JoinedProduct& joined) : net_(net), joined_(joined) {}

  void write() {
    const Node& convolution = *joined_.convolution;
    const std::string result = convolution.output(0);
    const Shape shape = *net_.shape(result);
    if (convolution.input_size() > 2) bias_ = floats(*net_.constant(convolution.input(2)));
    std::string sum = product(joined_.largest);
    net_.set_shape(sum, shape);
    std::vector<std::string> others;
    for (std::size_t i = 0; i < joined_.parts.size(); ++i)
      if (i != joined_.largest) others.push_back(enlarged(i, shape));
    if (bias_) {
      const std::string bias = net_.add_constant(float_tensor(*bias_, {joined_.outputs, 1, 1}), "bias");
      sum = net_.add("Add", {sum, bias}, {.shape = shape});
    }
    for (const std::string& larger : others) {
      Made made{.shape = shape};
      if (larger == others.back()) made.outputs = {result};
      sum = net_.add("Add", {sum, larger}, made);
    }
  }

 private:
  [[nodiscard]] std::int64_t channels(std::size_t part) const { return (*net_.shape(joined_.parts[part]))[1].size; }

  // The weights for a part's channels: [outputs, inputs], or the other way around.
  std::vector<float> weights_of(std::size_t part, bool inputs_first) const {
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < part; ++i) begin += channels(i);
    const std::int64_t count = channels(part), outputs = joined_.outputs;
    std::vector<float> taken(static_cast<std::size_t>(count * outputs));
    for (std::int64_t out = 0; out < outputs; ++out)
      for (std::int64_t in = 0; in < count; ++in)
        taken[static_cast<std::size_t>(inputs_first ? in * outputs + out : out * count + in)] =
            joined_.weights[static_cast<std::size_t>(out * joined_.inputs + begin + in)];
    return taken;
  }

  // A product of rows with `factors`. Where a product with a bias makes the rows, both are one: its bias is the sum's.
  std::string product_of_rows(const std::string& rows, std::vector<float> factors, std::int64_t count) {
    const std::int64_t outputs = joined_.outputs;
    Shape shape = *net_.shape(rows);
    shape.back() = {outputs, {}};
    std::string from = rows;
    if (const auto first = first_product(rows, count)) {
      if (!bias_) bias_ = std::vector<float>(static_cast<std::size_t>(outputs));
      add_product({first->bias, 1, count}, factors, *bias_);
      std::vector<float> both(static_cast<std::size_t>(first->inputs * outputs));
      add_product({first->weights, first->inputs, count}, factors, both);
      factors = std::move(both);
      count = first->inputs;
      from = first->from;
    }
    return net_.add("MatMul", {from, net_.add_constant(float_tensor(factors, {count, outputs}), "factors")},
                    {.shape = shape});
  }

  // A product of rows with constant weights [inputs, count], and a bias.
  struct FirstProduct {
    std::string from;
    std::vector<float> weights, bias;
    std::int64_t inputs;
  };

  // That makes the rows, if it is not the larger of the two.
  [[nodiscard]] std::optional<FirstProduct> first_product(const std::string& rows, std::int64_t count) const {
    const auto found = bias_of(net_, rows);
    const Node* product = found ? net_.maker(found->first, {"MatMul"}) : nullptr;
    const Weights* weights = product != nullptr ? net_.constant(product->input(1)) : nullptr;
    if (weights == nullptr || weights->dims_size() != 2 || weights->dims(1) != count || weights->dims(0) > count)
      return std::nullopt;
    auto numbers = floats(*weights), bias = floats(*net_.constant(found->second));
    if (!numbers || !bias || bias->size() != static_cast<std::size_t>(count)) return std::nullopt;
    return FirstProduct{product->input(0), std::move(*numbers), std::move(*bias), weights->dims(0)};
  }

  struct Matrix {
    std::span<const float> numbers;
    std::int64_t rows, columns;
  };

  // Adds the product of the matrix with `factors`, which have as many rows as it has columns.
  void add_product(const Matrix& matrix, std::span<const float> factors, std::span<float> sums) const {
    const std::int64_t outputs = joined_.outputs;
    for (std::int64_t row = 0; row < matrix.rows; ++row)
      for (std::int64_t out = 0; out < outputs; ++out) {
        double sum = 0;
        for (std::int64_t i = 0; i < matrix.columns; ++i)
          sum += double{matrix.numbers[static_cast<std::size_t>(row * matrix.columns + i)]} *
                 factors[static_cast<std::size_t>(i * outputs + out)];
        sums[static_cast<std::size_t>(row * outputs + out)] += static_cast<float>(sum);
      }
  }

  // Of a part before it is made larger; rows of a transformer are multiplied as they are.
  std::string product(std::size_t part) {
    const std::string source = source_of(net_, joined_.parts[part]).source;
    Shape shape = *net_.shape(source);
    const std::int64_t count = channels(part), outputs = joined_.outputs;
    shape[1] = {outputs, {}};
    const std::string* last = transposed_by(net_, source, kToFirst);
    const Node* reshape = last != nullptr ? net_.maker(*last, {"Reshape"}) : nullptr;
    const Shape* rows = reshape != nullptr ? net_.shape(reshape->input(0)) : nullptr;
    const bool are_rows = rows != nullptr && rows->size() == 3 && (*rows)[0] == shape[0] &&
                          (*rows)[1].size == shape[2].size * shape[3].size && (*rows)[2].size == count;
    if (!are_rows) {
      const std::string kernel =
          net_.add_constant(float_tensor(weights_of(part, false), {outputs, count, 1, 1}), "kernel");
      return net_.add("Conv", {source, kernel}, {.shape = shape});
    }
    const std::string products = product_of_rows(reshape->input(0), weights_of(part, true), count);
    const std::string sides = net_.add_constant(int_tensor({0, shape[2].size, shape[3].size, outputs}), "sides");
    const std::string picture =
        net_.add("Reshape", {products, sides}, {.shape = Shape{shape[0], shape[2], shape[3], shape[1]}});
    return net_.add("Transpose", {picture}, {.shape = shape, .attributes = {{.name = "perm", .list = kToFirst}}});
  }

  std::string enlarged(std::size_t part, const Shape& shape) {
    const std::string small = product(part);
    const Shape& before = *net_.shape(small);
    const auto times = [&](std::size_t axis) {
      const std::int64_t factor = shape[axis].size / before[axis].size;
      return static_cast<float>(factor);
    };
    const std::string scales =
        net_.add_constant(float_tensor(std::vector<float>{1, 1, times(2), times(3)}, {4}), "scales");
    Node resize = *net_.maker(joined_.parts[part], {"Resize"});
    resize.set_name(net_.fresh("Resize_"));
    resize.clear_input();
    for (const std::string& name : {small, std::string(), scales}) resize.add_input(name);
    const std::string larger = net_.fresh("larger");
    resize.set_output(0, larger);
    net_.add_node(std::move(resize), shape);
    return larger;
  }

  Net& net_;
  const JoinedProduct& joined_;
  std::optional<std::vector<float>> bias_;  // of the sum; none: zeros
};

}  // namespace

int fuse_resized(Net& net) {
  lay_rows_last(net);
  std::vector<JoinedProduct> found;
  for (const Node* node : net.nodes("Conv"))
    if (auto joined = joined_product(net, *node)) found.push_back(std::move(*joined));
  for (const JoinedProduct& joined : found) ResizedWriter(net, joined).write();
  net.clean();
  return static_cast<int>(found.size());
}

}  // namespace image_engine::graph
