#include "vision/objects.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "vision/batches.h"
#include "vision/heads.h"

namespace image_engine::vision {
namespace {

constexpr double kLeastSide = 1;  // pixels of the photo; thinner boxes are dropped
// DETR's second input: a mask of the picture without padding.
constexpr std::string_view kMask = "pixel_mask";

// Ones for the picture, zeros for padding. It may be smaller than the picture's input.
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
      else  // little-endian integers
        *element = std::byte{1};
    }
  return mask;
}

// For outputs that may be integers and may have any first dimension.
Status check_decoded(const Tensor& tensor) {
  const bool known =
      tensor.type == ElementType::kFloat32 || tensor.type == ElementType::kInt32 || tensor.type == ElementType::kInt64;
  const bool sound = known && std::ranges::all_of(tensor.shape, [](auto n) { return n >= 0; }) &&
                     tensor.data.size() == tensor.count() * element_size(tensor.type);
  if (!sound) return fail(ErrorCode::kCorrupt, "its output " + shape_text(tensor.shape) + " is not of numbers");
  if (tensor.type == ElementType::kFloat32 && !all_finite(tensor.as<float>()))
    return fail(ErrorCode::kCorrupt, "its output has NaN or infinite values");
  return {};
}

// From the input back to the photo.
struct Way {
  preprocess::InputSize size, placed;  // of the input, and of the picture in it
  double scale_x = 1, scale_y = 1;     // pixels of the photo for one of the input
};
Way way_of(const preprocess::Plan& plan, const preprocess::Prepared& prepared) {
  const auto [width, height] = prepared.picture;
  const double placed_x = prepared.placement.scale_x * width, placed_y = prepared.placement.scale_y * height;
  const auto edge = [](double length) { return static_cast<std::uint32_t>(std::lround(length)); };
  return {preprocess::input_size(plan, width, height),
          {edge(placed_x), edge(placed_y)},
          prepared.full.width / placed_x,
          prepared.full.height / placed_y};
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

  // Errors that shapes do not reveal occur here once, not on every photo. Outputs suppressed by the model do not have
  // one row per picture.
  const std::vector<std::uint8_t> black(std::size_t{4} * 4 * 3);
  IE_TRY(const preprocess::Prepared picture, detector.prepare({4, 4, black}, 4, 4));
  const std::array two{picture, picture};
  detector.batches_ = takes_batches(detector.session_->inputs()) && !detector.head_->kind->decoded;
  if (detector.batches_ && detector.detect(two)) return detector;
  detector.batches_ = false;
  IE_CHECK(detector.detect({&picture, 1}));
  return detector;
}

float ObjectDetector::least_in_drawings() const { return head_->options.drawing_threshold; }

Result<preprocess::Prepared> ObjectDetector::prepare(const ImageView& picture, std::uint32_t full_width,
                                                     std::uint32_t full_height) const {
  if (full_width == 0 || full_height == 0) return fail(ErrorCode::kInvalidArgument, "the photo is empty");
  IE_TRY(preprocess::Prepared prepared, preprocess::prepare(plan_, picture));
  prepared.full = {full_width, full_height};
  return prepared;
}

Result<preprocess::Prepared> ObjectDetector::prepare(const preprocess::MadeInput& made,
                                                     preprocess::FullSize full) const {
  IE_TRY(preprocess::Prepared prepared, preprocess::prepared_on_gpu(plan_, made));
  prepared.full = full;
  return prepared;
}

Result<std::vector<DetectedObject>> ObjectDetector::detect(const ImageView& picture, std::uint32_t full_width,
                                                           std::uint32_t full_height) const {
  IE_TRY(const preprocess::Prepared prepared, prepare(picture, full_width, full_height));
  IE_TRY(auto objects, detect({&prepared, 1}));
  return std::move(objects.front());
}

Result<std::vector<std::vector<DetectedObject>>> ObjectDetector::detect(
    std::span<const preprocess::Prepared> prepared) const {
  std::vector<std::vector<DetectedObject>> all;
  const auto same = [&](const auto& one) { return one.tensor.shape == prepared.front().tensor.shape; };
  const std::size_t at_once = batches_ && std::ranges::all_of(prepared, same) ? prepared.size() : 1;
  for (std::size_t first = 0; first < prepared.size(); first += at_once) {
    const auto pictures = prepared.subspan(first, at_once);
    const auto found = [&]() -> Status {
      IE_TRY(const auto outputs, run(pictures));
      for (std::size_t i = 0; i < pictures.size(); ++i) {
        IE_TRY(all.emplace_back(), read(outputs[i], pictures[i]));
      }
      return {};
    }();
    if (!found) return name_model(head_->model, found.error());
  }
  return all;
}

std::vector<Tensor> ObjectDetector::inputs_of(const preprocess::Prepared& prepared) const {
  const Way way = way_of(plan_, prepared);
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < session_->inputs().size(); ++i)
    inputs.push_back(i == head_->picture ? prepared.tensor
                                         : mask_of(session_->inputs()[i], way.size, prepared.placement, way.placed));
  return inputs;
}

// Each picture's outputs, of one run.
Result<std::vector<std::vector<Tensor>>> ObjectDetector::run(std::span<const preprocess::Prepared> prepared) const {
  const bool alone = session_->inputs().size() == 1;
  if (prepared.size() == 1) {
    std::vector<Tensor> inputs;
    if (!alone) inputs = inputs_of(prepared.front());
    const std::span<const Tensor> given =
        alone ? std::span(&prepared.front().tensor, 1) : std::span<const Tensor>(inputs);
    IE_TRY(auto outputs, session_->run(given, outputs_));
    std::vector<std::vector<Tensor>> only;
    only.push_back(std::move(outputs));
    return only;
  }
  std::vector<std::vector<Tensor>> each;
  for (const preprocess::Prepared& one : prepared) each.push_back(inputs_of(one));
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < session_->inputs().size(); ++i) {
    std::vector<const Tensor*> rows;
    for (const auto& one : each) rows.push_back(&one[i]);
    inputs.push_back(stacked(rows));
  }
  IE_TRY(const auto outputs, session_->run(inputs, outputs_));
  auto rows = unstacked(outputs, prepared.size());
  if (rows.size() != prepared.size()) return fail(ErrorCode::kCorrupt, "its outputs are not of one row a picture");
  return rows;
}

Result<std::vector<DetectedObject>> ObjectDetector::read(const std::vector<Tensor>& outputs,
                                                         const preprocess::Prepared& prepared) const {
  for (const Tensor& output : outputs) IE_CHECK(head_->kind->decoded ? check_decoded(output) : check_output(output, 1));
  const Way way = way_of(plan_, prepared);
  preprocess::Placement placement = prepared.placement;
  const bool masked = session_->inputs().size() > 1;
  // A model with a mask returns positions within the picture.
  if (masked) placement.offset_x = placement.offset_y = 0;
  const preprocess::InputSize shown = masked ? way.placed : way.size;
  IE_TRY(auto candidates, head_->kind->read({outputs, way.size, shown, labels_.size(), head_->options}));

  const auto [full_width, full_height] = prepared.full;
  std::vector<DetectedObject> objects;
  for (const BoxCandidate& found : suppress(std::move(candidates), head_->options.nms, head_->options.most)) {
    const Edges x = edges_of(found.x1, found.x2, placement.offset_x, way.scale_x, full_width);
    const Edges y = edges_of(found.y1, found.y2, placement.offset_y, way.scale_y, full_height);
    if (!(x.to - x.from >= kLeastSide && y.to - y.from >= kLeastSide)) continue;
    objects.push_back({found.label,
                       std::clamp(found.confidence, 0.0F, 1.0F),
                       {static_cast<float>(x.from), static_cast<float>(y.from), static_cast<float>(x.to - x.from),
                        static_cast<float>(y.to - y.from)}});
  }
  return objects;
}

}  // namespace image_engine::vision
