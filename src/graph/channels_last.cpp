#include "graph/channels_last.h"

#include <algorithm>

#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

struct UnaryRow {
  std::string_view domain, op;
  ChainCode code;
};
constexpr UnaryRow kUnaries[] = {
    {"", "Relu", ChainCode::kRelu}, {"", "Sigmoid", ChainCode::kSigmoid}, {"", "Tanh", ChainCode::kTanh},
    {"", "Exp", ChainCode::kExp},   {"", "Log", ChainCode::kLog},         {"", "Sqrt", ChainCode::kSqrt},
    {"", "Abs", ChainCode::kAbs},   {kContrib, "Gelu", ChainCode::kGelu}, {"", "Neg", ChainCode::kNegate}};

bool has_automatic_pads(const Node& node) {
  const onnx::AttributeProto* found = find_attribute(node, "auto_pad");
  return found != nullptr && found->s() != "NOTSET";
}

bool are_known(const Shape& shape, std::size_t from) {
  constexpr std::int64_t kMostSide = std::int64_t{1} << 30;  // so that products are numbers
  return std::all_of(shape.begin() + static_cast<std::ptrdiff_t>(from), shape.end(),
                     [](const Dimension& side) { return side.is_known() && side.size <= kMostSide; });
}

const std::vector<std::int64_t> kSwapped{0, 2, 1};

// Whether [pictures, places, channels] are those of [pictures, channels, height, width].
bool are_rows_of(const Shape* rows, const Shape* picture) {
  return rows != nullptr && picture != nullptr && rows->size() == 3 && picture->size() == 4 &&
         (*rows)[0] == (*picture)[0] && (*rows)[2] == (*picture)[1] && are_known(*rows, 1) && are_known(*picture, 1) &&
         (*rows)[1].size == (*picture)[2].size * (*picture)[3].size;
}

Made moved(const std::vector<std::int64_t>& permutation, std::optional<Shape> shape) {
  return {.shape = std::move(shape), .attributes = {{.name = "perm", .list = permutation}}};
}

// Of what has channels first.
Shape last_of(const Shape& shape) { return {shape[0], shape[2], shape[3], shape[1]}; }

void lay_out_rows(Net& net, const std::string& picture, const std::string& rows) {
  const Shape after = *net.shape(rows);
  const std::string* known = transposed_by(net, picture, kToFirst);
  const std::string last =
      known != nullptr ? *known : net.add("Transpose", {picture}, moved(kToLast, last_of(*net.shape(picture))));
  net.set_kind(last, net.kind(picture));
  const std::string sides = net.add_constant(int_tensor({0, after[1].size, after[2].size}), "rows");
  net.add("Reshape", {last, sides}, {.outputs = {rows}, .shape = after});
}

void lay_out_picture(Net& net, const std::string& rows, const std::string& picture) {
  const Shape after = *net.shape(picture);
  const std::string sides = net.add_constant(int_tensor({0, after[2].size, after[3].size, after[1].size}), "sides");
  const std::string last = net.add("Reshape", {rows, sides}, {.shape = last_of(after)});
  net.set_kind(last, net.kind(rows));
  Made made = moved(kToFirst, after);
  made.outputs = {picture};
  net.add("Transpose", {last}, made);
}

std::string text_attribute(const Node& node, std::string_view name, std::string_view otherwise) {
  const onnx::AttributeProto* found = find_attribute(node, name);
  return found != nullptr ? found->s() : std::string(otherwise);
}

// As exporters write them. Of the nearest, both ways choose the same where sizes are whole multiples.
struct SizeRow {
  std::string_view mode, places, rounding;
  OperandSize size;
};
constexpr SizeRow kSizeRows[] = {{"nearest", "asymmetric", "floor", OperandSize::kNearest},
                                 {"linear", "half_pixel", "", OperandSize::kLinear},
                                 {"linear", "pytorch_half_pixel", "", OperandSize::kLinear}};

}  // namespace

bool is_real(int kind) { return kind == onnx::TensorProto::FLOAT || kind == onnx::TensorProto::FLOAT16; }

std::optional<ChainCode> unary_of(const Node& node) {
  const std::string_view domain = node.domain() == "ai.onnx" ? "" : std::string_view(node.domain());
  const auto* row = std::ranges::find_if(
      kUnaries, [&](const UnaryRow& each) { return each.op == node.op_type() && each.domain == domain; });
  return row == std::end(kUnaries) ? std::nullopt : std::optional(row->code);
}

Strides strides_of(const Node& convolution) {
  Strides found{ints_attribute(convolution, "strides"), ints_attribute(convolution, "pads")};
  if (found.strides.empty()) found.strides = {1, 1};
  if (found.pads.empty()) found.pads = {0, 0, 0, 0};
  return found;
}

bool is_depthwise(const Net& net, const Node& node) {
  if (node.op_type() != "Conv" || !(node.domain().empty() || node.domain() == "ai.onnx")) return false;
  const Weights* weights = net.constant(node.input(1));
  const Shape* picture = net.shape(node.input(0));
  if (weights == nullptr || weights->dims_size() != 4 || picture == nullptr || picture->size() != 4) return false;
  const bool has_bias = node.input_size() > 2 && !node.input(2).empty();
  const Weights* bias = has_bias ? net.constant(node.input(2)) : nullptr;
  if (has_bias && (bias == nullptr || bias->dims_size() != 1)) return false;
  const std::int64_t channels = weights->dims(0), size = weights->dims(2);
  if (weights->dims(1) != 1 || int_attribute(node, "group", 1) != channels || (*picture)[1].size != channels)
    return false;
  if (channels % kDepthwiseChannels != 0 || weights->dims(3) != size || std::ranges::count(kDepthwiseSizes, size) == 0)
    return false;
  const auto [strides, pads] = strides_of(node);
  const auto is_one = [](std::int64_t number) { return number == 1; };
  return strides.size() == 2 && strides[0] == strides[1] && strides[0] <= kMostDepthwiseStride && pads.size() == 4 &&
         std::ranges::all_of(pads, [&](std::int64_t pad) { return pad >= 0 && pad < size; }) &&
         std::ranges::all_of(ints_attribute(node, "dilations"), is_one) && !has_automatic_pads(node) &&
         is_real(net.kind(node.output(0))) && net.shape(node.output(0)) != nullptr;
}

const std::string* transposed_by(const Net& net, const std::string& name,
                                 const std::vector<std::int64_t>& permutation) {
  const Node* node = net.maker(name, {"Transpose"});
  return node != nullptr && ints_attribute(*node, "perm") == permutation ? &node->input(0) : nullptr;
}

void lay_rows_last(Net& net) {
  std::vector<std::pair<std::string, std::string>> rows, pictures;
  for (const Node* node : net.nodes("Transpose")) {
    const Node* reshape = net.maker(node->input(0), {"Reshape"});
    if (reshape == nullptr || transposed_by(net, node->output(0), kSwapped) == nullptr) continue;
    if (are_rows_of(net.shape(node->output(0)), net.shape(reshape->input(0))))
      rows.emplace_back(reshape->input(0), node->output(0));
  }
  for (const Node* node : net.nodes("Reshape")) {
    const std::string* source = transposed_by(net, node->input(0), kSwapped);
    if (source != nullptr && are_rows_of(net.shape(*source), net.shape(node->output(0))))
      pictures.emplace_back(*source, node->output(0));
  }
  for (const auto& [source, picture] : pictures) lay_out_picture(net, source, picture);
  for (const auto& [picture, made] : rows) lay_out_rows(net, picture, made);
  net.clean();
}

namespace {

// Whether a Resize's scales, with which it computes places, are what its sizes make them. Those of opset 10 are other
// places.
bool is_by_whole_factors(const Net& net, const Node& resize, const Shape& from, const Shape& to) {
  if (net.opset() < 11 || find_attribute(resize, "axes") != nullptr ||
      text_attribute(resize, "keep_aspect_ratio_policy", "stretch") != "stretch")
    return false;
  if (resize.input_size() < 3 || resize.input(2).empty()) return true;
  const Weights* constant = net.constant(resize.input(2));
  const auto scales = constant != nullptr ? floats(*constant) : std::nullopt;
  if (!scales) return false;
  if (scales->empty()) return resize.input_size() > 3 && !resize.input(3).empty();
  const auto is_factor = [&](std::size_t i) {
    const std::int64_t factor = to[i].size / from[i].size;
    return (*scales)[i] == static_cast<float>(factor);
  };
  return scales->size() == 4 && is_factor(2) && is_factor(3);
}

}  // namespace

std::optional<Resized> resized(const Net& net, const std::string& name) {
  const Node* node = net.maker(name, {"Resize"});
  const Shape* after = net.shape(name);
  const Shape* before = node != nullptr ? net.shape(node->input(0)) : nullptr;
  if (before == nullptr || after == nullptr || before->size() != 4 || after->size() != 4) return std::nullopt;
  const Shape &from = *before, &to = *after;
  if (from[0] != to[0] || from[1] != to[1] || !are_known(from, 1) || !are_known(to, 1)) return std::nullopt;
  for (const std::size_t i : {2, 3})
    if (from[i].size == 0 || to[i].size % from[i].size != 0) return std::nullopt;
  if (from == to) return Resized{node->input(0), OperandSize::kSame};
  if (!is_by_whole_factors(net, *node, from, to)) return std::nullopt;
  const std::string mode = text_attribute(*node, "mode", "nearest"),
                    places = text_attribute(*node, "coordinate_transformation_mode", "half_pixel"),
                    rounding = text_attribute(*node, "nearest_mode", "round_prefer_floor");
  for (const SizeRow& row : kSizeRows)
    if (row.mode == mode && row.places == places && (row.rounding.empty() || row.rounding == rounding))
      return Resized{node->input(0), row.size};
  return std::nullopt;
}

void put_at_convolutions(Net& net) {
  for (const auto& node : net.all()) {
    Node* reshape = unary_of(*node) && net.only(node->input(0)) ? net.maker(node->input(0), {"Reshape"}) : nullptr;
    if (reshape == nullptr || !net.only(reshape->input(0))) continue;
    const std::string* before = transposed_by(net, reshape->input(0), kToLast);
    const Node* convolution = before != nullptr && net.only(*before) ? net.maker(*before, {"Conv"}) : nullptr;
    if (convolution == nullptr || !is_depthwise(net, *convolution)) continue;
    const std::string name = *before, after = net.fresh("before_rows");
    net.set_kind(after, net.kind(name));
    net.set_shape(after, *net.shape(name));
    net.any_maker(reshape->input(0))->set_input(0, after);
    reshape->set_output(0, node->output(0));
    node->set_input(0, name);
    node->set_output(0, after);
  }
  net.clean();
}

}  // namespace image_engine::graph
