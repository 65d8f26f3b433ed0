#include "vision/objects.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "vision/heads.h"

namespace image_engine::vision {
namespace {

constexpr double kLeastSide = 1;  // pixels of the photo; what is thinner is nothing that can be shown
// DETR's second input: where the picture is, as against padding.
constexpr std::string_view kMask = "pixel_mask";

// Ones where the picture is, zeros where padding is. A graph may have it smaller than its picture.
Tensor mask_of(const infer::TensorInfo& info, preprocess::InputSize size, const preprocess::Placement& placement,
               preprocess::InputSize shown) {
  std::vector<std::int64_t> shape{1, size.height, size.width};
  for (std::size_t i = 0; i < std::min(shape.size(), info.shape.size()); ++i)
    if (info.shape[i] >= 0) shape[i] = info.shape[i];
  Tensor mask = Tensor::zeros(info.type, shape);
  const auto within = [](std::int64_t at, std::int64_t count, std::uint32_t pixels, double offset,
                         std::uint32_t length) {
    const double pixel = (static_cast<double>(at) + 0.5) * pixels / static_cast<double>(count);
    return pixel >= offset && pixel < offset + length;
  };
  const std::size_t step = element_size(info.type);
  const float one = 1;
  for (std::int64_t y = 0; y < shape[1]; ++y)
    for (std::int64_t x = 0; x < shape[2]; ++x) {
      if (!within(y, shape[1], size.height, placement.offset_y, shown.height) ||
          !within(x, shape[2], size.width, placement.offset_x, shown.width))
        continue;
      std::byte* element = &mask.data[static_cast<std::size_t>(y * shape[2] + x) * step];
      if (info.type == ElementType::kFloat32)
        std::memcpy(element, &one, sizeof(one));
      else  // little-endian whole numbers
        *element = std::byte{1};
    }
  return mask;
}

// Of outputs that may be whole numbers and of any number of pictures' dimension.
Status check_decoded(const Tensor& tensor) {
  const bool known =
      tensor.type == ElementType::kFloat32 || tensor.type == ElementType::kInt32 || tensor.type == ElementType::kInt64;
  const bool sound = known && std::ranges::all_of(tensor.shape, [](auto n) { return n >= 0; }) &&
                     tensor.data.size() == tensor.count() * element_size(tensor.type);
  if (!sound) return fail(ErrorCode::kCorrupt, "its output " + shape_text(tensor.shape) + " is not of numbers");
  if (tensor.type == ElementType::kFloat32 && !all_finite(tensor.as<float>()))
    return fail(ErrorCode::kCorrupt, "its output has values that are no numbers");
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

}  // namespace

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
    IE_TRY(head.picture, find_picture(spec, inputs, kMask));
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
  preprocess::Placement placement = prepared.placement;
  const double scale_x = full_width / (placement.scale_x * picture.width);
  const double scale_y = full_height / (placement.scale_y * picture.height);
  const auto edge = [](double length) { return static_cast<std::uint32_t>(std::lround(length)); };
  const preprocess::InputSize placed{edge(placement.scale_x * picture.width), edge(placement.scale_y * picture.height)};
  preprocess::InputSize shown = size;
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < session_->inputs().size(); ++i) {
    if (i == head_->picture) {
      inputs.push_back(std::move(prepared.tensor));
      continue;
    }
    inputs.push_back(mask_of(session_->inputs()[i], size, prepared.placement, placed));
    // A model that is told where the picture is gives places in it.
    shown = placed;
    placement.offset_x = placement.offset_y = 0;
  }

  const auto read = [&]() -> Result<std::vector<Candidate>> {
    IE_TRY(const auto outputs, session_->run(inputs, outputs_));
    for (const Tensor& output : outputs)
      IE_CHECK(head_->kind->decoded ? check_decoded(output) : check_output(output, 1));
    return head_->kind->read({outputs, size, shown, labels_.size(), head_->options});
  };
  auto candidates = read();
  if (!candidates) return name_model(head_->model, std::move(candidates).error());

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
