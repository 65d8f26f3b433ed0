#include "vision/point_segmenter.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>

#include "vision/graph_checks.h"
#include "vision/mask_planes.h"

namespace image_engine::vision {
namespace {

constexpr std::size_t kMostMasks = 16, kMasksWithSingle = 4;
constexpr std::int64_t kMaskReduction = 4;  // of the encoder's input to `mask_input`
constexpr float kOutsideLabel = 0, kInsideLabel = 1, kTopLeftLabel = 2, kBottomRightLabel = 3, kPaddingLabel = -1;

// Prompts in pixels of the encoder's input, and that input's size.
struct InputPrompts {
  std::vector<float> coordinates, labels;
  float height = 0, width = 0;  // of the picture in it
  std::int64_t mask_height = 0, mask_width = 0;
};

InputPrompts input_prompts(const Prompts& prompts, const preprocess::Placement& placed, bool padding) {
  InputPrompts made;
  const auto add = [&](float x, float y, float label) {
    made.coordinates.push_back(static_cast<float>(placed.offset_x + double{x} * placed.scale_x));
    made.coordinates.push_back(static_cast<float>(placed.offset_y + double{y} * placed.scale_y));
    made.labels.push_back(label);
  };
  for (const PromptPoint& point : prompts.points) add(point.x, point.y, point.is_inside ? kInsideLabel : kOutsideLabel);
  if (const auto& box = prompts.box) {
    add(box->x, box->y, kTopLeftLabel);
    add(box->x + box->width, box->y + box->height, kBottomRightLabel);
  } else if (padding) {
    made.coordinates.insert(made.coordinates.end(), {0, 0});
    made.labels.push_back(kPaddingLabel);
  }
  return made;
}

// An input of these values, whatever its type.
Tensor tensor_of(ElementType type, std::vector<std::int64_t> shape, std::span<const float> values) {
  Tensor tensor = Tensor::zeros(type, std::move(shape));
  if (type == ElementType::kFloat32) std::ranges::copy(values, tensor.as<float>().begin());
  if (type == ElementType::kInt32) std::ranges::copy(values, tensor.as<std::int32_t>().begin());
  if (type == ElementType::kInt64) std::ranges::copy(values, tensor.as<std::int64_t>().begin());
  return tensor;
}

struct PromptRow {
  std::string_view name;
  Tensor (*make)(ElementType, const InputPrompts&);
};
constexpr PromptRow kPromptRows[] = {
    {"point_coords",
     [](ElementType type, const InputPrompts& given) {
       return tensor_of(type, {1, static_cast<std::int64_t>(given.labels.size()), 2}, given.coordinates);
     }},
    {"point_labels",
     [](ElementType type, const InputPrompts& given) {
       return tensor_of(type, {1, static_cast<std::int64_t>(given.labels.size())}, given.labels);
     }},
    {"mask_input",
     [](ElementType type, const InputPrompts& given) {
       return tensor_of(type, {1, 1, given.mask_height, given.mask_width}, {});
     }},
    {"has_mask_input", [](ElementType type, const InputPrompts&) { return tensor_of(type, {1}, {}); }},
    // Of the picture in the encoder's input, not the photo: so the masks of the photo's size, which are not used, are
    // small.
    {"orig_im_size",
     [](ElementType type, const InputPrompts& given) {
       const float size[] = {given.height, given.width};
       return tensor_of(type, {2}, size);
     }},
};
constexpr std::size_t kNeededRows = 2;

const PromptRow* prompt_row(std::string_view input) {
  const auto* const row = std::ranges::find(kPromptRows, input, &PromptRow::name);
  return row == std::end(kPromptRows) ? nullptr : row;
}

// Which of the encoder's outputs each of the decoder's inputs gets; "": none, it is a prompt's.
Result<std::vector<std::string>> embeddings_for(const std::vector<infer::TensorInfo>& inputs,
                                                const std::vector<infer::TensorInfo>& outputs) {
  for (const PromptRow& row : std::span(kPromptRows).first(kNeededRows))
    if (std::ranges::find(inputs, row.name, &infer::TensorInfo::name) == inputs.end())
      return fail(ErrorCode::kCorrupt, "its decoder has no input '" + std::string(row.name) + "'");
  const auto is_prompt = [](const infer::TensorInfo& input) { return prompt_row(input.name) != nullptr; };
  const bool is_only = outputs.size() == 1 && std::ranges::count_if(inputs, std::not_fn(is_prompt)) == 1;
  std::vector<std::string> names;
  for (const infer::TensorInfo& input : inputs) {
    if (input.type != ElementType::kFloat32 && input.type != ElementType::kInt32 && input.type != ElementType::kInt64)
      return fail(ErrorCode::kCorrupt, "its decoder's input '" + input.name + "' takes neither float32 nor integers");
    if (is_prompt(input)) {
      names.emplace_back();
      continue;
    }
    const auto same = std::ranges::find(outputs, input.name, &infer::TensorInfo::name);
    if (same == outputs.end() && !is_only)
      return fail(ErrorCode::kCorrupt, "its decoder has an input '" + input.name + "' that its encoder does not give");
    names.push_back(is_only ? outputs.front().name : same->name);
  }
  return names;
}

Status check_points_spec(const models::Spec& spec, const preprocess::Plan& plan,
                         const std::vector<std::string>& outputs) {
  if (spec.head != kPointsHead)
    return fail(ErrorCode::kInvalidArgument, "has the head '" + spec.head + "', not points");
  if (plan.fit != preprocess::Fit::kStretch && plan.fit != preprocess::Fit::kLetterbox)
    return fail(ErrorCode::kInvalidArgument, "its encoder's input has a fit other than stretch and letterbox");
  if (plan.align != preprocess::Align::kTopLeft && plan.fit == preprocess::Fit::kLetterbox)
    return fail(ErrorCode::kInvalidArgument, "its encoder's input has to be aligned top-left");
  if (outputs.size() != 2)
    return fail(ErrorCode::kInvalidArgument, "its decoder's `outputs` must name the masks and the estimates of IoU");
  return {};
}

// The position of the mask to take.
std::size_t best_mask(std::span<const float> ious, const Prompts& prompts) {
  const bool is_one_point = prompts.points.size() == 1 && !prompts.box, has_single = ious.size() == kMasksWithSingle;
  if (has_single && !is_one_point) return 0;
  const auto candidates = ious.subspan(has_single ? 1 : 0);
  return static_cast<std::size_t>(std::ranges::max_element(candidates) - candidates.begin()) + (has_single ? 1 : 0);
}

}  // namespace

Result<PointSegmenter> PointSegmenter::create(const models::Spec& spec, std::unique_ptr<infer::Session> encoder,
                                              std::unique_ptr<infer::Session> decoder) {
  IE_TRY(const models::Spec of_picture, models::part_of(spec, "encoder"));
  IE_TRY(const models::Spec of_prompts, models::part_of(spec, "decoder"));
  PointSegmenter segmenter;
  segmenter.model_ = spec.name;
  segmenter.outputs_ = of_prompts.outputs;
  IE_TRY(segmenter.plan_, plan_of(of_picture));
  segmenter.encoder_ = std::move(encoder), segmenter.decoder_ = std::move(decoder);
  const auto checked = [&]() -> Status {
    IE_CHECK(check_points_spec(spec, segmenter.plan_, segmenter.outputs_));
    IE_TRY(segmenter.padding_, yes_or_no(of_prompts, "padding"));
    const auto& inputs = segmenter.encoder_->inputs();
    IE_TRY(const std::size_t picture, find_picture(of_picture, inputs));
    segmenter.bare_ = inputs[picture].shape == std::vector<std::int64_t>{-1, -1, 3};
    if (!segmenter.bare_) IE_CHECK(check_input(segmenter.plan_, inputs[picture]));
    IE_CHECK(check_outputs(segmenter.outputs_, segmenter.decoder_->outputs()));
    IE_TRY(segmenter.embeddings_, embeddings_for(segmenter.decoder_->inputs(), segmenter.encoder_->outputs()));
    return {};
  }();
  if (!checked) return name_model(spec.name, checked.error());
  return segmenter;
}

Result<preprocess::Prepared> PointSegmenter::prepare(const ImageView& picture) const {
  if (!bare_) return preprocess::prepare(plan_, picture);
  // Only what of the input is not padding, and as it is.
  const double scale = std::min(double{1} * plan_.width / picture.width, double{1} * plan_.height / picture.height);
  const auto edge = [&](std::uint32_t pixels) {
    return std::max(1U, static_cast<std::uint32_t>(std::floor(pixels * scale + 0.5)));
  };
  preprocess::Plan plan{.width = edge(picture.width), .height = edge(picture.height)};
  plan.filter = plan_.filter, plan.layout = preprocess::Layout::kNhwc, plan.order = plan_.order;
  IE_TRY(preprocess::Prepared prepared, preprocess::prepare(plan, picture));
  prepared.tensor.shape.erase(prepared.tensor.shape.begin());
  return prepared;
}

Result<std::vector<Tensor>> PointSegmenter::inputs_of(const preprocess::Prepared& prepared,
                                                      const Prompts& prompts) const {
  IE_TRY(std::vector<Tensor> embedded, encoder_->run({&prepared.tensor, 1}));
  InputPrompts given = input_prompts(prompts, prepared.placement, padding_);
  given.height = static_cast<float>(std::lround(prepared.picture.height * prepared.placement.scale_y));
  given.width = static_cast<float>(std::lround(prepared.picture.width * prepared.placement.scale_x));
  given.mask_height = plan_.height / kMaskReduction, given.mask_width = plan_.width / kMaskReduction;
  const auto& wanted = decoder_->inputs();
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (embeddings_[i].empty()) {
      inputs.push_back(prompt_row(wanted[i].name)->make(wanted[i].type, given));
      continue;
    }
    const auto at = std::ranges::find(encoder_->outputs(), embeddings_[i], &infer::TensorInfo::name);
    inputs.push_back(embedded[static_cast<std::size_t>(at - encoder_->outputs().begin())]);
  }
  return inputs;
}

Result<Selection> PointSegmenter::select(const ImageView& picture, const Prompts& prompts) const {
  IE_CHECK(check_prompts(prompts, picture.width, picture.height));
  IE_TRY(const preprocess::Prepared prepared, prepare(picture));
  const auto read = [&]() -> Result<Selection> {
    IE_TRY(const std::vector<Tensor> inputs, inputs_of(prepared, prompts));
    IE_TRY(const std::vector<Tensor> outputs, decoder_->run(inputs, outputs_));
    const Tensor &masks = outputs[0], &estimates = outputs[1];
    IE_CHECK(check_output(estimates, 1));
    const std::size_t count = estimates.count();
    if (count < 1 || count > kMostMasks || masks.shape.size() != 4 ||
        masks.shape[1] != static_cast<std::int64_t>(count))
      return fail(ErrorCode::kCorrupt,
                  "its masks are " + shape_text(masks.shape) + " and their estimates " + shape_text(estimates.shape));
    IE_TRY(const MaskPlanes planes, mask_planes(masks, count));
    const std::size_t best = best_mask(estimates.as<float>(), prompts);
    const MaskPlaces places = mask_places(planes, plan_, prepared, MaskDetail::kOfInput);
    return Selection{matte_of_logits(planes, best, places), estimates.as<float>()[best]};
  };
  Result<Selection> selection = read();
  if (!selection) return name_model(model_, std::move(selection).error());
  return selection;
}

}  // namespace image_engine::vision
