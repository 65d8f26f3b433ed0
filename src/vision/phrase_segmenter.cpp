#include "vision/phrase_segmenter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "vision/graph_checks.h"
#include "vision/mask_planes.h"
#include "vision/text_input.h"

namespace image_engine::vision {
namespace {

Status check_phrase_spec(const models::Spec& spec, const preprocess::Plan& plan) {
  if (spec.head != kPhraseHead)
    return fail(ErrorCode::kInvalidArgument, "has the head '" + spec.head + "', not phrase");
  if (plan.fit != preprocess::Fit::kStretch && plan.fit != preprocess::Fit::kLetterbox)
    return fail(ErrorCode::kInvalidArgument, "its input has a fit other than stretch and letterbox");
  return spec.text.context >= 2 ? Status{}
                                : fail(ErrorCode::kInvalidArgument, "its spec's `text` has no context of 2 or more");
}

// The index of the picture among inputs that are otherwise texts.
Result<std::size_t> picture_beside_text(const models::Spec& spec, const std::vector<infer::TensorInfo>& inputs) {
  const auto picture = std::ranges::find(inputs, spec.input.name, &infer::TensorInfo::name);
  if (picture == inputs.end()) return fail(ErrorCode::kCorrupt, "its graph has no input '" + spec.input.name + "'");
  if (std::ranges::find(inputs, kTextIds, &infer::TensorInfo::name) == inputs.end())
    return fail(ErrorCode::kCorrupt, "its graph has no input 'input_ids'");
  for (const infer::TensorInfo& input : inputs)
    if (&input != &*picture) IE_CHECK(check_text_input(input, spec.text.context));
  return static_cast<std::size_t>(picture - inputs.begin());
}

}  // namespace

Result<PhraseSegmenter> PhraseSegmenter::create(const models::Spec& spec, std::unique_ptr<infer::Session> session,
                                                std::unique_ptr<preprocess::Tokenizer> tokenizer) {
  PhraseSegmenter segmenter;
  segmenter.model_ = spec.name;
  IE_TRY(segmenter.plan_, plan_of(spec));
  segmenter.session_ = std::move(session), segmenter.tokenizer_ = std::move(tokenizer);
  segmenter.context_ = spec.text.context;
  const auto checked = [&]() -> Status {
    IE_CHECK(check_phrase_spec(spec, segmenter.plan_));
    const auto& inputs = segmenter.session_->inputs();
    IE_TRY(segmenter.picture_, picture_beside_text(spec, inputs));
    IE_CHECK(check_input(segmenter.plan_, inputs[segmenter.picture_]));
    IE_TRY(segmenter.output_, find_output(spec.outputs, segmenter.session_->outputs()));
    segmenter.fixed_length_ = spec.text.fixed || std::ranges::any_of(inputs, [&](const infer::TensorInfo& input) {
                                return &input != &inputs[segmenter.picture_] && input.shape[1] >= 0;
                              });
    return {};
  }();
  if (!checked) return name_model(spec.name, checked.error());
  return segmenter;
}

Result<Matte> PhraseSegmenter::segment(const ImageView& picture, std::string_view phrase) const {
  IE_TRY(preprocess::Prepared prepared, preprocess::prepare(plan_, picture));
  const std::vector<std::int64_t> ids = tokenizer_->encode(phrase, context_ + 1);
  if (ids.size() > context_)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the text is too long for {}, which reads {} tokens: use fewer words", model_, context_));
  const std::size_t length = fixed_length_ ? context_ : ids.size();
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < session_->inputs().size(); ++i)
    inputs.push_back(i == picture_ ? std::move(prepared.tensor)
                                   : text_input(session_->inputs()[i], {&ids, 1}, length, tokenizer_->padding()));
  const auto read = [&]() -> Result<Matte> {
    IE_TRY(std::vector<Tensor> outputs, session_->run(inputs, {&output_, 1}));
    Tensor& logits = outputs.front();
    if (logits.shape.size() == 2) logits.shape.insert(logits.shape.begin(), 1);
    IE_TRY(const MaskPlanes planes, mask_planes(logits, 1));
    return matte_of_logits(planes, 0, mask_places(planes, plan_, prepared, MaskDetail::kOfOutput));
  };
  Result<Matte> matte = read();
  if (!matte) return name_model(model_, std::move(matte).error());
  return matte;
}

}  // namespace image_engine::vision
