#include <algorithm>
#include <numeric>

#include "graph/fusions.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

bool has_input(const Node& node, int i) { return node.input_size() > i && !node.input(i).empty(); }

// What follows a tensor: a factor, a sum, and the name of the result.
struct Affine {
  double factor = 1, shift = 0;
  std::string last;
};

Affine affine_after(const Net& net, const std::string& name) {
  Affine made{1, 0, name};
  const Node* scaled = net.user(name, {"Mul"});
  if (const auto operand = net.split_operand(scaled); operand && operand->first == made.last) {
    made.factor = operand->second;
    made.last = scaled->output(0);
  }
  const Node* added = net.user(made.last, {"Add"});
  if (const auto operand = net.split_operand(added); operand && operand->first == made.last) {
    made.shift = operand->second;
    made.last = added->output(0);
  }
  return made;
}

// The convolution with its weights times the factor, and its bias, too, plus the shift.
std::optional<std::string> scaled_convolution(Net& net, const Node& conv, const Affine& affine) {
  const Weights* weights = net.constant(conv.input(1));
  auto kernel = weights != nullptr ? floats(*weights) : std::nullopt;
  if (!kernel || weights->dims_size() == 0) return std::nullopt;
  const std::vector<std::int64_t> dims(weights->dims().begin(), weights->dims().end());
  std::vector<float> bias(static_cast<std::size_t>(dims[0]));
  if (has_input(conv, 2)) {
    const Weights* given = net.constant(conv.input(2));
    auto numbers = given != nullptr ? floats(*given) : std::nullopt;
    if (!numbers || numbers->size() != bias.size()) return std::nullopt;
    bias = std::move(*numbers);
  }
  const auto factor = static_cast<float>(affine.factor), shift = static_cast<float>(affine.shift);
  for (float& number : *kernel) number *= factor;
  for (float& number : bias) number = number * factor + shift;
  Node copy = conv;
  copy.set_name(net.fresh("Conv_"));
  copy.mutable_input()->Clear();
  copy.add_input(conv.input(0));
  copy.add_input(net.add_constant(float_tensor(*kernel, dims), "kernel"));
  copy.add_input(net.add_constant(float_tensor(bias, {dims[0]}), "bias"));
  const Shape* shape = net.shape(conv.output(0));
  std::string name = net.fresh("conv");
  copy.set_output(0, name);
  net.add_node(std::move(copy), shape != nullptr ? std::optional(*shape) : std::nullopt);
  return name;
}

bool fuse_affine_relu(Net& net, const Node* relu) {
  const Node* conv = net.maker(relu->input(0), {"Conv"});
  if (conv == nullptr || !net.only(relu->input(0))) return false;
  const Affine affine = affine_after(net, relu->output(0));
  if (affine.last == relu->output(0) || affine.factor == 0) return false;
  const auto made = scaled_convolution(net, *conv, affine);
  if (!made) return false;
  const auto shift = static_cast<float>(affine.shift);
  const std::string cut = net.add_constant(float_tensor({&shift, 1}, {}), "cut");
  const bool from_below = affine.factor > 0;
  net.add("Clip", from_below ? std::vector{*made, cut} : std::vector<std::string>{*made, "", cut},
          {.outputs = {affine.last}});
  return true;
}

bool is_known_from(const Shape& shape, std::size_t first) {
  return std::all_of(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.end(),
                     [](const Dimension& dimension) { return dimension.is_known(); });
}

// A convolution that cuts a picture into patches: its sizes, and the transpose behind it.
struct Cut {
  std::int64_t outputs, channels, high, wide;  // of the kernel
  Dimension batch;
  std::int64_t down, across;  // patches
  std::string result;

  [[nodiscard]] std::int64_t patches() const { return down * across; }
  [[nodiscard]] std::int64_t width() const { return channels * high * wide; }
};

bool has_kernel_as_stride(const Node& conv, const Weights& weights) {
  const std::vector<std::int64_t> steps = ints_attribute(conv, "strides"), pads = ints_attribute(conv, "pads");
  if (weights.dims_size() != 4 || steps != std::vector{weights.dims(2), weights.dims(3)}) return false;
  if (std::ranges::max(steps) == 1 || int_attribute(conv, "group", 1) != 1) return false;
  return std::ranges::all_of(pads, [](std::int64_t pad) { return pad == 0; });
}

std::optional<Cut> cut_of(const Net& net, const Node& conv) {
  const Weights* weights = net.constant(conv.input(1));
  const Shape *before = net.shape(conv.input(0)), *after = net.shape(conv.output(0));
  if (weights == nullptr || !has_kernel_as_stride(conv, *weights)) return std::nullopt;
  const Node* rows = net.user(conv.output(0), {"Reshape"});
  const Node* turned = rows != nullptr ? net.user(rows->output(0), {"Transpose"}) : nullptr;
  if (turned == nullptr || ints_attribute(*turned, "perm") != std::vector<std::int64_t>{0, 2, 1}) return std::nullopt;
  if (before == nullptr || after == nullptr || before->size() != 4 || after->size() != 4) return std::nullopt;
  if (!is_known_from(*before, 1) || !is_known_from(*after, 1)) return std::nullopt;
  const Cut cut{weights->dims(0), weights->dims(1), weights->dims(2), weights->dims(3),
                (*before)[0],     (*after)[2].size, (*after)[3].size, turned->output(0)};
  if ((*before)[2].size % cut.high != 0 || (*before)[3].size % cut.wide != 0) return std::nullopt;
  const Shape* flat = net.shape(rows->output(0));
  if (flat == nullptr || flat->size() != 3 || (*flat)[1].size != cut.outputs || (*flat)[2].size != cut.patches())
    return std::nullopt;
  return cut;
}

// The kernel as a matrix: a column for each output.
std::optional<Weights> patch_matrix(const Weights& kernel, const Cut& cut) {
  const auto numbers = floats(kernel);
  if (!numbers) return std::nullopt;
  std::vector<float> made(numbers->size());
  for (std::int64_t column = 0; column < cut.outputs; ++column)
    for (std::int64_t row = 0; row < cut.width(); ++row)
      made[static_cast<std::size_t>(row * cut.outputs + column)] =
          (*numbers)[static_cast<std::size_t>(column * cut.width() + row)];
  return float_tensor(made, {cut.width(), cut.outputs});
}

bool fuse_patch(Net& net, const Node* conv) {
  const auto cut = cut_of(net, *conv);
  auto matrix = cut ? patch_matrix(*net.constant(conv->input(1)), *cut) : std::nullopt;
  if (!matrix) return false;
  const auto [outputs, channels, high, wide, batch, down, across, result] = *cut;
  const std::string bias = has_input(*conv, 2) ? conv->input(2) : "";
  const auto known = [](std::int64_t size) { return Dimension{size, {}}; };
  const std::string cells = net.add_constant(int_tensor({0, channels, down, high, across, wide}), "cells");
  const std::string flat = net.add_constant(int_tensor({0, cut->patches(), cut->width()}), "rows");
  std::string name =
      net.add("Reshape", {conv->input(0), cells},
              {.shape = Shape{batch, known(channels), known(down), known(high), known(across), known(wide)}});
  name = net.add("Transpose", {name}, {.attributes = {{.name = "perm", .list = {0, 2, 4, 1, 3, 5}}}});
  name = net.add("Reshape", {name, flat}, {.shape = Shape{batch, known(cut->patches()), known(cut->width())}});
  Made product{.shape = Shape{batch, known(cut->patches()), known(outputs)}};
  if (bias.empty()) product.outputs = {result};
  name = net.add("MatMul", {name, net.add_constant(std::move(*matrix), "patches")}, product);
  if (!bias.empty()) net.add("Add", {name, bias}, {.outputs = {result}});
  return true;
}

}  // namespace

int fuse_affine_relus(Net& net) {
  int found = 0;
  for (const Node* relu : net.nodes("Relu")) found += static_cast<int>(fuse_affine_relu(net, relu));
  net.clean();
  return found;
}

int fuse_patches(Net& net) {
  int found = 0;
  for (const Node* conv : net.nodes("Conv")) found += static_cast<int>(fuse_patch(net, conv));
  net.clean();
  return found;
}

}  // namespace image_engine::graph
