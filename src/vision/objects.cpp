#include "vision/objects.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>

#include "vision/heads.h"

namespace image_engine::vision {
namespace {

constexpr double kLeastSide = 1;  // pixels of the photo; what is thinner is nothing that can be shown
// DETR's second input: where the picture is, as against padding, of which our plans make none.
constexpr std::string_view kMask = "pixel_mask";

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const auto n : shape) text += (text.size() > 1 ? "," : "") + (n < 0 ? "?" : std::to_string(n));
  return text + "]";
}

// What the plan makes, −1 where it depends on the picture.
std::vector<std::int64_t> planned_shape(const preprocess::Plan& plan) {
  const bool free = plan.fit == preprocess::Fit::kShortEdge;
  const std::int64_t width = free ? -1 : std::int64_t{plan.width}, height = free ? -1 : std::int64_t{plan.height};
  return plan.layout == preprocess::Layout::kNchw ? std::vector<std::int64_t>{1, 3, height, width}
                                                  : std::vector<std::int64_t>{1, height, width, 3};
}

// Whether the graph takes every shape that is planned.
bool takes(const std::vector<std::int64_t>& graph, const std::vector<std::int64_t>& planned) {
  return std::ranges::equal(graph, planned, [](auto taken, auto given) { return taken < 0 || taken == given; });
}

// The place of the picture among the graph's inputs.
Result<std::size_t> find_picture(const models::Spec& spec, const std::vector<infer::TensorInfo>& inputs) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const bool picture = spec.input.name.empty() ? inputs[i].name != kMask : inputs[i].name == spec.input.name;
    if (!picture && inputs[i].name == kMask) continue;
    if (!picture || found)
      return fail(ErrorCode::kCorrupt,
                  "its graph has an input '" + inputs[i].name + "' that its spec knows nothing of");
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
    if (std::ranges::find(outputs, name, &infer::TensorInfo::name) == outputs.end()) {
      std::string there;
      for (const auto& output : outputs) there.append(there.empty() ? "" : ", ").append(output.name);
      return fail(ErrorCode::kCorrupt, "its graph has no output '" + name + "'; it has: " + there);
    }
  return {};
}

Tensor mask_of(const infer::TensorInfo& info, preprocess::InputSize size) {
  std::vector<std::int64_t> shape{1, size.height, size.width};
  for (std::size_t i = 0; i < std::min(shape.size(), info.shape.size()); ++i)
    if (info.shape[i] >= 0) shape[i] = info.shape[i];
  Tensor mask = Tensor::zeros(info.type, std::move(shape));
  const std::size_t step = element_size(info.type);
  if (info.type == ElementType::kFloat32)
    std::ranges::fill(mask.as<float>(), 1.0F);
  else  // little-endian whole numbers
    for (std::size_t i = 0; i < mask.data.size(); i += step) mask.data[i] = std::byte{1};
  return mask;
}

bool all_finite(std::span<const float> values) {
  constexpr std::uint32_t kExponent = 0x7f800000;
  bool finite = true;
  for (const float value : values) finite &= (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent;
  return finite;
}

// That a head may index by its shape.
Status check_output(const Tensor& tensor) {
  const bool sound = tensor.type == ElementType::kFloat32 && !tensor.shape.empty() && tensor.shape[0] == 1 &&
                     std::ranges::all_of(tensor.shape, [](auto n) { return n >= 0; }) &&
                     tensor.data.size() == tensor.count() * sizeof(float);
  if (!sound) return fail(ErrorCode::kCorrupt, "its output " + shape_text(tensor.shape) + " is not one picture's");
  if (!all_finite(tensor.as<float>())) return fail(ErrorCode::kCorrupt, "its output has values that are no numbers");
  return {};
}

struct Edges {
  double from = 0, to = 0;
};
// An interval of the input as one of the photo.
Edges edges_of(float from, float to, double offset, double scale, double full) {
  const auto map = [&](float at) { return std::clamp((double{at} - offset) * scale, 0.0, full); };
  return {map(from), map(to)};
}

tl::unexpected<Error> name_model(const std::string& model, Error error) {
  error.message = "model " + model + ": " + error.message;
  return fail(std::move(error));
}

Result<std::array<float, 3>> triple(const std::vector<double>& values, const char* name) {
  if (values.size() != 3)
    return fail(ErrorCode::kInvalidArgument, std::string("input ") + name + " is not of three numbers");
  return std::array{static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

template <typename T>
Result<T> named(std::optional<T> value, const char* key, const std::string& text) {
  if (value) return *value;
  return fail(ErrorCode::kInvalidArgument, std::string("input ") + key + " is '" + text + "', which is none");
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
  auto plan = read_plan(spec.input);
  if (!plan) return name_model(spec.name, std::move(plan).error());
  return plan;
}

struct ObjectDetector::Head {
  std::string model;  // its name, for messages
  const HeadKind* kind = nullptr;
  HeadOptions options;
  std::size_t picture = 0;  // its place among the graph's inputs
};

Result<ObjectDetector> ObjectDetector::create(const models::Spec& spec, std::unique_ptr<infer::Session> session) {
  ObjectDetector detector;
  IE_TRY(detector.plan_, plan_of(spec));
  detector.session_ = std::move(session);
  detector.labels_ = spec.labels;
  detector.outputs_ = spec.outputs;
  Head head;
  head.model = spec.name;
  IE_TRY(head.kind, find_head(spec));
  IE_TRY(head.options, read_options(spec, *head.kind));
  if (spec.labels.empty()) return fail(ErrorCode::kInvalidArgument, "model " + spec.name + ": its spec has no labels");

  const auto checked = [&]() -> Status {
    const auto& inputs = detector.session_->inputs();
    IE_TRY(head.picture, find_picture(spec, inputs));
    IE_CHECK(check_input(detector.plan_, inputs[head.picture]));
    return check_outputs(detector.outputs_, detector.session_->outputs());
  }();
  if (!checked) return name_model(spec.name, checked.error());
  detector.head_ = std::make_shared<const Head>(std::move(head));

  // What shapes alone do not show, and what fails only when it runs, fails here once and not on every photo.
  const std::vector<std::uint8_t> black(std::size_t{4} * 4 * 3);
  IE_TRY(const auto objects, detector.detect({4, 4, black}, 4, 4));
  return detector;
}

Result<std::vector<DetectedObject>> ObjectDetector::detect(const ImageView& picture, std::uint32_t full_width,
                                                           std::uint32_t full_height) const {
  if (full_width == 0 || full_height == 0) return fail(ErrorCode::kInvalidArgument, "the photo is empty");
  IE_TRY(auto prepared, preprocess::prepare(plan_, picture));
  const auto size = preprocess::input_size(plan_, picture.width, picture.height);
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < session_->inputs().size(); ++i)
    inputs.push_back(i == head_->picture ? std::move(prepared.tensor) : mask_of(session_->inputs()[i], size));

  const auto read = [&]() -> Result<std::vector<Candidate>> {
    IE_TRY(const auto outputs, session_->run(inputs, outputs_));
    for (const Tensor& output : outputs) IE_CHECK(check_output(output));
    return head_->kind->read({outputs, size, labels_.size(), head_->options});
  };
  auto candidates = read();
  if (!candidates) return name_model(head_->model, std::move(candidates).error());

  const auto& placement = prepared.placement;
  const double scale_x = full_width / (placement.scale_x * picture.width);
  const double scale_y = full_height / (placement.scale_y * picture.height);
  std::vector<DetectedObject> objects;
  for (const Candidate& found : suppress(std::move(*candidates), head_->options.nms, head_->options.most)) {
    const Edges x = edges_of(found.x1, found.x2, placement.offset_x, scale_x, full_width);
    const Edges y = edges_of(found.y1, found.y2, placement.offset_y, scale_y, full_height);
    if (!(x.to - x.from >= kLeastSide && y.to - y.from >= kLeastSide)) continue;
    objects.push_back({found.label,
                       std::clamp(found.confidence, 0.0F, 1.0F),
                       {static_cast<float>(x.from), static_cast<float>(y.from), static_cast<float>(x.to - x.from),
                        static_cast<float>(y.to - y.from)}});
  }
  return objects;
}

}  // namespace image_engine::vision
