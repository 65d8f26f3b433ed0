// Pictures around convolutions: zeros around them, maxima of windows, and the channels of the first.
#include <algorithm>
#include <array>

#include "graph/channels_last.h"
#include "graph/fusions.h"
#include "graph/tensor.h"

namespace image_engine::graph {
namespace {

constexpr std::int64_t kMostGrown = 1;  // by which a kernel's side grows

struct Padded {
  std::string source;
  std::array<std::int64_t, 4> pads;  // top, left, bottom, right
};

// Where the tensor is a picture with zeros around it.
// So that sums of pads and sides are numbers.
bool is_small(std::int64_t pad) { return pad >= 0 && pad <= (1 << 20); }

std::optional<Padded> padded(const Net& net, const std::string& name) {
  const Node* node = net.maker(name, {"Pad"});
  if (node == nullptr || node->input_size() < 2) return std::nullopt;
  const onnx::AttributeProto* mode = find_attribute(*node, "mode");
  const bool has_value = node->input_size() > 2 && !node->input(2).empty();
  if ((mode != nullptr && mode->s() != "constant") || node->input_size() > 3) return std::nullopt;
  if (has_value && net.scalar(node->input(2)) != 0) return std::nullopt;
  const Weights* given = net.constant(node->input(1));
  const auto all = given != nullptr ? whole_numbers(*given) : std::nullopt;
  if (!all || all->size() != 8) return std::nullopt;
  const auto at = [&](std::size_t i) { return (*all)[i]; };
  if (at(0) != 0 || at(1) != 0 || at(4) != 0 || at(5) != 0) return std::nullopt;
  const Padded found{node->input(0), {at(2), at(3), at(6), at(7)}};
  if (!std::ranges::all_of(found.pads, is_small)) return std::nullopt;
  return found;
}

bool is_plain(const Node& node) {
  const onnx::AttributeProto* automatic = find_attribute(node, "auto_pad");
  return (automatic == nullptr || automatic->s() == "NOTSET") &&
         std::ranges::all_of(ints_attribute(node, "dilations"), [](std::int64_t number) { return number == 1; });
}

// The kernel with zeros beside it. A side of it grows where the pads grow, so that both pads of an axis are equal.
struct Grown {
  std::int64_t before = 0, after = 0;
};

Grown grown(std::int64_t before, std::int64_t after) {
  return {std::max<std::int64_t>(after - before, 0), std::max<std::int64_t>(before - after, 0)};
}

Weights grown_kernel(const Weights& weights, const std::vector<float>& numbers, Grown down, Grown across) {
  const std::int64_t planes = weights.dims(0) * weights.dims(1), height = weights.dims(2), width = weights.dims(3);
  const std::int64_t high = height + down.before + down.after, wide = width + across.before + across.after;
  std::vector<float> made(static_cast<std::size_t>(planes * high * wide));
  for (std::int64_t line = 0; line < planes * height; ++line) {
    const std::int64_t plane = line / height, row = line % height + down.before;
    std::copy_n(numbers.begin() + line * width, width, made.begin() + (plane * high + row) * wide + across.before);
  }
  return float_tensor(made, {weights.dims(0), weights.dims(1), high, wide});
}

bool are_sides_known(const Shape& shape) {
  constexpr std::int64_t kMostSide = std::int64_t{1} << 30;  // so that sums are numbers
  return shape.size() == 4 && std::all_of(shape.begin() + 1, shape.end(),
                                          [](const Dimension& d) { return d.is_known() && d.size <= kMostSide; });
}

// The attribute of a node that computes the pool of `before`; empty where there is no kernel for it.
std::vector<std::int64_t> window_of(const Node& pool, const Shape& before, const Shape& after,
                                    const std::optional<Padded>& around) {
  const std::vector<std::int64_t> size = ints_attribute(pool, "kernel_shape");
  const auto [strides, own] = strides_of(pool);
  if (size.size() != 2 || size[0] != size[1] || size[0] > kMostWindow || strides.size() != 2 ||
      strides[0] != strides[1] || strides[0] > kMostWindow || own.size() != 4 || !is_plain(pool) ||
      !std::ranges::all_of(own, is_small) || size[0] < 1 || strides[0] < 1)
    return {};
  const bool has_own = std::ranges::any_of(own, [](std::int64_t pad) { return pad != 0; });
  if (has_own && around) return {};
  std::vector<std::int64_t> window{size[0], strides[0]};
  for (std::size_t i = 0; i < 4; ++i) window.push_back(around ? around->pads[i] : own[i]);
  for (std::size_t i = 0; i < 2; ++i) {  // a pool that rounds up may have more
    const std::int64_t free = before[i + 2].size + window[i + 2] + window[i + 4] - size[0];
    if (window[i + 2] >= size[0] || window[i + 4] >= size[0] || free < 0 || free / strides[0] + 1 != after[i + 2].size)
      return {};
  }
  window.push_back(around ? 1 : 0);
  return window;
}

// The tensor with channels last.
std::string last_of(Net& net, const std::string& name) {
  if (const std::string* last = transposed_by(net, name, kToFirst)) return *last;
  return net.add("Transpose", {name}, {.attributes = {{.name = "perm", .list = kToLast}}});
}

// A pool for which there is a kernel.
struct Pool {
  std::string source;
  std::vector<std::int64_t> window;  // as the operator has it
};

std::optional<Pool> pool_of(const Net& net, const Node& pool) {
  const auto around = padded(net, pool.input(0));
  const std::string source = around ? around->source : pool.input(0);
  const Shape *before = net.shape(source), *after = net.shape(pool.output(0));
  if (before == nullptr || after == nullptr || pool.output_size() != 1 || !is_real(net.kind(source)) ||
      !are_sides_known(*before) || !are_sides_known(*after) || (*before)[1].size % kWindowChannels != 0)
    return std::nullopt;
  Pool found{source, window_of(pool, *before, *after, around)};
  return found.window.empty() ? std::nullopt : std::optional(std::move(found));
}

bool fuse_pool(Net& net, const Node* node) {
  const auto pool = pool_of(net, *node);
  if (!pool || net.kind(pool->source) != net.kind(node->output(0))) return false;
  const bool is_half = net.kind(pool->source) == onnx::TensorProto::FLOAT16;
  const std::string made = net.add(is_half ? kWindowHalf : kWindowFull, {last_of(net, pool->source)},
                                   {.domain = kOwnDomain, .attributes = {{.name = kWindow, .list = pool->window}}});
  net.add("Transpose", {made}, {.outputs = {node->output(0)}, .attributes = {{.name = "perm", .list = kToFirst}}});
  return true;
}

// Whether nothing needs the zeros that a Pad writes any more. A pool that alone was left with them would become one
// with pads by ONNX Runtime, which are no zeros.
bool can_go(const Net& net, const std::string& name, Chains layout) {
  return std::ranges::all_of(net.users(name), [&](const Node* user) {
    return user->op_type() == "Conv" ||
           (layout == Chains::kChannelsLast && user->op_type() == "MaxPool" && pool_of(net, *user));
  });
}

// What a convolution reads, with all zeros around it. Nothing where its pads are good as they are.
std::optional<Padded> unequally_padded(const Net& net, const Node& convolution, Chains layout) {
  const std::vector<std::int64_t> own = strides_of(convolution).pads;
  if (own.size() != 4 || !is_plain(convolution) || !std::ranges::all_of(own, is_small)) return std::nullopt;
  const auto around = padded(net, convolution.input(0));
  if (around && !can_go(net, convolution.input(0), layout)) return std::nullopt;
  Padded all = around.value_or(Padded{convolution.input(0), {}});
  for (std::size_t i = 0; i < 4; ++i) all.pads[i] += own[i];
  const bool is_good = !around && own[0] == own[2] && own[1] == own[3];
  return is_good ? std::nullopt : std::optional(std::move(all));
}

bool fuse_pad(Net& net, const Node* convolution, Chains layout) {
  const auto around = unequally_padded(net, *convolution, layout);
  const Weights* weights = net.constant(convolution->input(1));
  const Shape* shape = net.shape(convolution->output(0));
  if (!around || weights == nullptr || weights->dims_size() != 4 || shape == nullptr) return false;
  const auto numbers = floats(*weights);
  const auto& pads = around->pads;
  const Grown down = grown(pads[0], pads[2]), across = grown(pads[1], pads[3]);
  for (const Grown& side : {down, across})
    if (side.before + side.after > kMostGrown) return false;
  if (!numbers) return false;
  const Weights kernel = grown_kernel(*weights, *numbers, down, across);
  Made made{.outputs = {convolution->output(0)}, .shape = *shape};
  made.attributes = {
      {.name = "kernel_shape", .list = {kernel.dims(2), kernel.dims(3)}},
      {.name = "strides", .list = strides_of(*convolution).strides},
      {.name = "pads",
       .list = {pads[0] + down.before, pads[1] + across.before, pads[2] + down.after, pads[3] + across.after}},
      {.name = "group", .number = int_attribute(*convolution, "group", 1)}};
  std::vector<std::string> inputs{around->source, net.add_constant(kernel, "kernel")};
  if (convolution->input_size() > 2) inputs.push_back(convolution->input(2));
  net.add("Conv", inputs, made);
  return true;
}

// The input of the graph, with channels first, that the convolution reads, if need be in another precision; else null.
const std::string* picture_of(const Net& net, const Node& convolution) {
  const std::string& name = convolution.input(0);
  const Shape* shape = net.shape(name);
  if (shape == nullptr || !are_sides_known(*shape) || (*shape)[1].size > kMostTurned ||
      (*shape)[2].size * (*shape)[3].size % kTurnedPlaces != 0 || !is_real(net.kind(name)))
    return nullptr;
  const Node* cast = net.maker(name, {"Cast"});
  const std::string& source = cast != nullptr ? cast->input(0) : name;
  const bool is_input = net.any_maker(source) == nullptr && net.constant(source) == nullptr;
  return is_input && is_real(net.kind(source)) ? &source : nullptr;
}

}  // namespace

int fuse_pads(Net& net, Chains layout) {
  int found = 0;
  for (const Node* convolution : net.nodes("Conv")) found += static_cast<int>(fuse_pad(net, convolution, layout));
  net.clean();
  return found;
}

int fuse_pools(Net& net) {
  int found = 0;
  for (const Node* pool : net.nodes("MaxPool")) found += static_cast<int>(fuse_pool(net, pool));
  net.clean();
  return found;
}

int turn_pictures(Net& net) {
  int found = 0;
  for (Node* convolution : net.nodes("Conv")) {
    const std::string* source = picture_of(net, *convolution);
    if (source == nullptr) continue;
    const bool is_half = net.kind(convolution->input(0)) == onnx::TensorProto::FLOAT16;
    const std::string last = net.add(is_half ? kLastHalf : kLastFull, {*source}, {.domain = kOwnDomain});
    const std::string first = net.add("Transpose", {last}, {.attributes = {{.name = "perm", .list = kToFirst}}});
    convolution->set_input(0, first);
    ++found;
  }
  net.clean();
  return found;
}

}  // namespace image_engine::graph
