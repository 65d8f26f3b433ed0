#include "vision/graph_checks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

namespace image_engine::vision {
namespace {

constexpr std::string_view kWords = "input_ids";  // as exporters call tokens

// The plan's shape, −1 where it depends on the picture.
std::vector<std::int64_t> planned_shape(const preprocess::Plan& plan) {
  const bool free = plan.fit == preprocess::Fit::kShortEdge;
  const std::int64_t width = free ? -1 : std::int64_t{plan.width}, height = free ? -1 : std::int64_t{plan.height};
  return plan.layout == preprocess::Layout::kNchw ? std::vector<std::int64_t>{1, 3, height, width}
                                                  : std::vector<std::int64_t>{1, height, width, 3};
}

// Whether the graph accepts every planned shape.
bool takes(const std::vector<std::int64_t>& graph, const std::vector<std::int64_t>& planned) {
  return std::ranges::equal(graph, planned, [](auto taken, auto given) { return taken < 0 || taken == given; });
}

std::string names_of(const std::vector<infer::TensorInfo>& outputs) {
  std::string names;
  for (const auto& output : outputs) names.append(names.empty() ? "" : ", ").append(output.name);
  return names;
}

Result<std::array<float, 3>> triple(const std::vector<double>& values, const char* name) {
  if (values.size() != 3)
    return fail(ErrorCode::kInvalidArgument, std::string("input ") + name + " does not have three numbers");
  return std::array{static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

template <typename T>
Result<T> named(std::optional<T> value, const char* key, const std::string& text) {
  if (value) return *value;
  return fail(ErrorCode::kInvalidArgument, std::string("input ") + key + " is '" + text + "', which is invalid");
}

std::optional<ElementType> type_from_name(std::string_view name) {
  if (name == "float32") return ElementType::kFloat32;
  if (name == "uint8") return ElementType::kUint8;
  return std::nullopt;
}

Result<preprocess::Plan> read_plan(const models::InputSpec& input) {
  preprocess::Plan plan;
  plan.width = input.width, plan.height = input.height;
  plan.resize_edge = input.resize_edge, plan.longest = input.longest;
  IE_TRY(plan.fit, named(preprocess::fit_from_name(input.fit), "fit", input.fit));
  IE_TRY(plan.align, named(preprocess::align_from_name(input.align), "align", input.align));
  IE_TRY(plan.filter, named(preprocess::filter_from_name(input.filter), "filter", input.filter));
  IE_TRY(plan.layout, named(preprocess::layout_from_name(input.layout), "layout", input.layout));
  IE_TRY(plan.order, named(preprocess::channel_order_from_name(input.order), "order", input.order));
  IE_TRY(plan.type, named(type_from_name(input.type), "type", input.type));
  IE_TRY(plan.pad, triple(input.pad, "pad"));
  IE_TRY(plan.mean, triple(input.mean, "mean"));
  IE_TRY(plan.deviation, triple(input.deviation, "deviation"));
  IE_CHECK(preprocess::check_plan(plan));
  return plan;
}

}  // namespace

Result<preprocess::Plan> plan_of(const models::Spec& spec) {
  if (spec.input.frames > 0)
    return fail(ErrorCode::kUnsupported,
                "model " + spec.name +
                    ": it sees several frames of a video at once; only models of single pictures can be used here");
  auto plan = read_plan(spec.input);
  if (!plan) return name_model(spec.name, std::move(plan).error());
  return plan;
}

Result<std::size_t> find_picture(const models::Spec& spec, const std::vector<infer::TensorInfo>& inputs,
                                 std::string_view besides) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool beside = !besides.empty() && inputs[i].name == besides;
    const bool picture = spec.input.name.empty() ? !beside : inputs[i].name == spec.input.name;
    if (!picture && beside) continue;
    if (!picture || found)
      return fail(ErrorCode::kCorrupt, "its graph has an input '" + inputs[i].name + "' that is not in its spec" +
                                           (inputs[i].name == kWords ? ": models that take words beside the picture, "
                                                                       "such as open-vocabulary detectors, are not "
                                                                       "supported"
                                                                     : ""));
    found = i;
  }
  if (!found) return fail(ErrorCode::kCorrupt, "its graph has no input '" + spec.input.name + "'");
  return *found;
}

Status check_input(const preprocess::Plan& plan, const infer::TensorInfo& input) {
  if (input.type != plan.type)
    return fail(ErrorCode::kCorrupt, "its graph's input '" + input.name + "' has another type than its spec says");
  const auto planned = planned_shape(plan);
  if (takes(input.shape, planned)) return {};
  return fail(ErrorCode::kCorrupt, "its graph's input '" + input.name + "' is " + shape_text(input.shape) +
                                       ", its spec's is " + shape_text(planned));
}

Status check_outputs(const std::vector<std::string>& wanted, const std::vector<infer::TensorInfo>& outputs) {
  for (const std::string& name : wanted)
    if (std::ranges::find(outputs, name, &infer::TensorInfo::name) == outputs.end())
      return fail(ErrorCode::kCorrupt, "its graph has no output '" + name + "'; it has: " + names_of(outputs));
  return {};
}

Result<std::string> find_output(const std::vector<std::string>& wanted, const std::vector<infer::TensorInfo>& outputs) {
  IE_CHECK(check_outputs(wanted, outputs));
  if (!wanted.empty()) return wanted.front();
  if (outputs.size() == 1) return outputs.front().name;
  return fail(ErrorCode::kCorrupt, "its spec's `outputs` must name one of its graph's: " + names_of(outputs));
}

Status check_output(const Tensor& tensor, std::size_t items) {
  if (tensor.type != ElementType::kFloat32)
    return fail(ErrorCode::kCorrupt, "its output " + shape_text(tensor.shape) + " is not of float32");
  const bool sound = !tensor.shape.empty() && std::ranges::all_of(tensor.shape, [](auto n) { return n >= 0; }) &&
                     static_cast<std::size_t>(tensor.shape[0]) == items &&
                     tensor.data.size() == tensor.count() * sizeof(float);
  if (!sound)
    return fail(ErrorCode::kCorrupt, "its output " + shape_text(tensor.shape) + " is not one for each of " +
                                         std::to_string(items) + " given");
  if (!all_finite(tensor.as<float>())) return fail(ErrorCode::kCorrupt, "its output has NaN or infinite values");
  return {};
}

Result<bool> yes_or_no(const models::Spec& spec, const char* name) {
  const auto found = spec.head_options.find(name);
  if (found == spec.head_options.end() || found->second == "no") return false;
  if (found->second == "yes") return true;
  return fail(ErrorCode::kInvalidArgument,
              std::string("option ") + name + " is '" + found->second + "', not yes or no");
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const auto n : shape) text += (text.size() > 1 ? "," : "") + (n < 0 ? "?" : std::to_string(n));
  return text + "]";
}

bool all_finite(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  bool finite = true;
  for (const float value : values) finite &= (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent;
  return finite;
}

tl::unexpected<Error> name_model(const std::string& model, Error error) {
  error.message = "model " + model + ": " + error.message;
  return fail(std::move(error));
}

}  // namespace image_engine::vision
