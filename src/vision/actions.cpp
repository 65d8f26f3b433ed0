#include "vision/actions.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "vision/class_scores.h"
#include "vision/graph_checks.h"

namespace image_engine::vision {
namespace {

constexpr double kUsualThreshold = 0.3;

// Where the frames are in a clip's shape, and whether a frame's channels lie apart.
struct ClipLayout {
  std::string_view name;
  std::size_t time_axis;
  bool planes;
};
constexpr ClipLayout kClipLayouts[] = {{"ncthw", 2, true}, {"ntchw", 1, true}, {"nthwc", 1, false}};

Result<const ClipLayout*> clip_layout(const models::InputSpec& input) {
  const auto* layout = std::ranges::find(kClipLayouts, std::string_view(input.layout), &ClipLayout::name);
  if (layout != std::end(kClipLayouts) && input.frames > 0) return layout;
  return fail(ErrorCode::kInvalidArgument,
              "its spec needs `input.frames` and a layout of ncthw, ntchw or nthwc, as models for actions have them");
}

std::vector<std::int64_t> clip_shape(const preprocess::Plan& plan, const ClipLayout& layout, std::size_t frames) {
  const std::int64_t width = plan.width, height = plan.height;
  std::vector<std::int64_t> shape =
      layout.planes ? std::vector<std::int64_t>{1, 3, height, width} : std::vector<std::int64_t>{1, height, width, 3};
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(layout.time_axis), static_cast<std::int64_t>(frames));
  return shape;
}

// Copies each frame, or each of its channels, to its place.
Tensor joined(std::span<const preprocess::Prepared> frames, const preprocess::Plan& plan, const ClipLayout& layout) {
  Tensor clip = Tensor::zeros(plan.type, clip_shape(plan, layout, frames.size()));
  const std::size_t parts = layout.time_axis == 2 ? 3 : 1, bytes = frames.front().tensor.data.size() / parts;
  for (std::size_t frame = 0; frame < frames.size(); ++frame)
    for (std::size_t part = 0; part < parts; ++part)
      std::memcpy(clip.data.data() + (part * frames.size() + frame) * bytes,
                  frames[frame].tensor.data.data() + part * bytes, bytes);
  return clip;
}

Status check_clip(const preprocess::Plan& plan, const std::vector<std::int64_t>& planned,
                  const infer::TensorInfo& input) {
  if (input.type != plan.type)
    return fail(ErrorCode::kCorrupt, "its graph's input '" + input.name + "' has another type than its spec says");
  if (std::ranges::equal(input.shape, planned, [](auto taken, auto given) { return taken < 0 || taken == given; }))
    return {};
  return fail(ErrorCode::kCorrupt, "its graph's input '" + input.name + "' is " + shape_text(input.shape) +
                                       ", but by its spec's layout, frames and size it is " + shape_text(planned));
}

}  // namespace

Result<preprocess::Plan> frame_plan_of(const models::Spec& spec) {
  const Result<const ClipLayout*> layout = clip_layout(spec.input);
  if (!layout) return name_model(spec.name, layout.error());
  models::Spec frame = spec;
  frame.input.layout = (*layout)->planes ? "nchw" : "nhwc";
  frame.input.frames = 0;
  IE_TRY(const preprocess::Plan plan, plan_of(frame));
  if (plan.fit != preprocess::Fit::kShortEdge) return plan;
  return name_model(spec.name, {ErrorCode::kInvalidArgument, "input fit is 'short-edge'; frames have one size"});
}

Result<Tensor> still_clip(const models::Spec& spec, const ImageView& picture) {
  IE_TRY(const preprocess::Plan plan, frame_plan_of(spec));
  IE_TRY(const preprocess::Prepared frame, preprocess::prepare(plan, picture));
  return joined(std::vector(spec.input.frames, frame), plan, **clip_layout(spec.input));
}

Result<ActionClassifier> ActionClassifier::create(const models::Spec& spec, std::unique_ptr<infer::Session> session) {
  ActionClassifier classifier;
  classifier.model_ = spec.name;
  classifier.labels_ = spec.labels;
  classifier.layout_ = spec.input.layout;
  classifier.frames_ = spec.input.frames;
  classifier.softmax_ = spec.head == "softmax";
  IE_TRY(classifier.plan_, frame_plan_of(spec));
  IE_TRY(classifier.threshold_, models::number_option(spec, "threshold", kUsualThreshold));
  const auto checked = [&]() -> Status {
    for (const auto& [name, value] : spec.head_options)
      if (name != "threshold")
        return fail(ErrorCode::kInvalidArgument, "it has no option '" + name + "', but threshold");
    const auto& inputs = session->inputs();
    IE_TRY(const std::size_t clip, find_picture(spec, inputs));
    IE_TRY(const ClipLayout* layout, clip_layout(spec.input));
    IE_CHECK(check_clip(classifier.plan_, clip_shape(classifier.plan_, *layout, classifier.frames_), inputs[clip]));
    IE_TRY(classifier.output_, find_output(spec.outputs, session->outputs()));
    return {};
  }();
  if (!checked) return name_model(spec.name, checked.error());
  classifier.session_ = std::move(session);

  // Checks that the numbers of labels and classes are equal, with a trial run.
  const std::vector<std::uint8_t> black(std::size_t{4} * 4 * 3);
  IE_TRY(const Tensor clip, still_clip(spec, {4, 4, black}));
  IE_CHECK(classifier.run(clip));
  return classifier;
}

Result<preprocess::Prepared> ActionClassifier::prepare(const ImageView& picture, preprocess::FullSize full) const {
  return preprocess::prepare(plan_, picture, full);
}

Result<std::vector<double>> ActionClassifier::run(const Tensor& clip) const {
  const auto logits = [&]() -> Result<std::vector<double>> {
    IE_TRY(const auto outputs, session_->run({&clip, 1}, {&output_, 1}));
    IE_CHECK(check_output(outputs.front(), 1));
    if (outputs.front().count() != labels_.size())
      return fail(ErrorCode::kCorrupt, "its output " + shape_text(outputs.front().shape) + " is not of " +
                                           std::to_string(labels_.size()) + " classes, as its labels are");
    const auto values = outputs.front().as<float>();
    return std::vector<double>(values.begin(), values.end());
  }();
  if (!logits) return name_model(model_, logits.error());
  return *logits;
}

Result<std::vector<SceneGuess>> ActionClassifier::classify(std::span<const preprocess::Prepared> frames) const {
  if (frames.size() != frames_)
    return fail(ErrorCode::kInvalidArgument,
                "model " + model_ + ": a run takes " + std::to_string(frames_) + " frames");
  const ClipLayout& layout = *std::ranges::find(kClipLayouts, std::string_view(layout_), &ClipLayout::name);
  IE_TRY(std::vector<double> values, run(joined(frames, plan_, layout)));
  if (softmax_)
    softmax(values);
  else
    for (double& value : values) value = 1 / (1 + std::exp(-value));
  std::vector<SceneGuess> guesses = best_guesses(labels_, values, kTopScenes);
  std::erase_if(guesses, [&](const SceneGuess& guess) { return guess.confidence < threshold_; });
  return guesses;
}

}  // namespace image_engine::vision
