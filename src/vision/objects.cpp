#include "vision/objects.h"

#include <algorithm>

#include "vision/heads.h"

namespace image_engine::vision {
namespace {

constexpr double kLeastSide = 1;  // pixels of the photo; what is thinner is nothing that can be shown
// DETR's second input: where the picture is, as against padding, of which our plans make none.
constexpr std::string_view kMask = "pixel_mask";

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
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < session_->inputs().size(); ++i)
    inputs.push_back(i == head_->picture ? std::move(prepared.tensor) : mask_of(session_->inputs()[i], size));

  const auto read = [&]() -> Result<std::vector<Candidate>> {
    IE_TRY(const auto outputs, session_->run(inputs, outputs_));
    for (const Tensor& output : outputs) IE_CHECK(check_output(output, 1));
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
