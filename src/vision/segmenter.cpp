#include "vision/segmenter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "vision/graph_checks.h"
#include "vision/mask_planes.h"

namespace image_engine::vision {
namespace {

// How far the best of the chosen planes is above the best of the others.
float margin(const MaskPlanes& planes, const std::vector<bool>& chosen, const Between& x, const Between& y) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  float best = kNone, other = kNone;
  for (std::size_t plane = 0; plane < planes.count; ++plane) {
    float& greatest = chosen[plane] ? best : other;
    greatest = std::max(greatest, sample(planes, plane, x, y));
  }
  return best - other;
}

// What a model says of a picture: its planes, and where the places of the result are in them.
struct Answer {
  std::vector<Tensor> outputs;  // that `planes` points into
  MaskPlanes planes;
  MaskPlaces places;
};

struct Question {
  const preprocess::Plan& plan;
  const infer::Session& session;
  const std::string &model, &output;
  std::size_t planes = 1;  // several: of classes
};

Result<Answer> answer_to(const Question& asked, const ImageView& picture) {
  IE_TRY(preprocess::Prepared prepared, preprocess::prepare(asked.plan, picture));
  Answer answer;
  IE_TRY(answer.outputs, asked.session.run({&prepared.tensor, 1}, {&asked.output, 1}));
  Result<MaskPlanes> planes = mask_planes(answer.outputs.front(), asked.planes);
  if (!planes) return name_model(asked.model, std::move(planes).error());
  answer.planes = *planes;
  answer.places =
      mask_places(answer.planes, asked.plan, prepared, asked.planes > 1 ? MaskDetail::kOfInput : MaskDetail::kOfOutput);
  return answer;
}

void stretch(std::vector<float>& values) {
  const auto [least, most] = std::ranges::minmax(values);
  if (most <= least) return;
  for (float& value : values) value = (value - least) / (most - least);
}

Status check_segmenter(const models::Spec& spec, const preprocess::Plan& plan) {
  if (spec.head != "alpha" && spec.head != "classes")
    return fail(ErrorCode::kInvalidArgument, "has the head '" + spec.head + "'; segmentation has alpha and classes");
  if (plan.fit != preprocess::Fit::kStretch && plan.fit != preprocess::Fit::kLetterbox)
    return fail(ErrorCode::kInvalidArgument,
                "input fit is '" + spec.input.fit + "'; segmentation has stretch and letterbox");
  if (spec.head == "alpha" ? spec.labels.size() != 1 : spec.labels.size() < 2)
    return fail(ErrorCode::kInvalidArgument, spec.head == "alpha" ? "needs one label: what its plane is of"
                                                                  : "needs a label for each of its classes");
  const auto activation = spec.head_options.find("activation");
  if (activation != spec.head_options.end() && activation->second != "none" && activation->second != "sigmoid")
    return fail(ErrorCode::kInvalidArgument, "option activation is '" + activation->second + "', not none or sigmoid");
  return {};
}

}  // namespace

Result<Segmenter> Segmenter::create(const models::Spec& spec, std::unique_ptr<infer::Session> session) {
  Segmenter segmenter;
  segmenter.model_ = spec.name;
  IE_TRY(segmenter.plan_, plan_of(spec));
  if (Status sound = check_segmenter(spec, segmenter.plan_); !sound)
    return name_model(spec.name, std::move(sound).error());
  segmenter.classes_ = spec.head == "classes";
  segmenter.labels_ = spec.labels.size();
  const auto activation = spec.head_options.find("activation");
  segmenter.sigmoid_ = activation != spec.head_options.end() && activation->second == "sigmoid";
  Result<bool> stretched = yes_or_no(spec, "stretch");
  if (!stretched) return name_model(spec.name, std::move(stretched).error());
  segmenter.stretch_ = *stretched;
  const Result<std::size_t> picture = find_picture(spec, session->inputs());
  if (!picture) return name_model(spec.name, picture.error());
  if (Status fits = check_input(segmenter.plan_, session->inputs()[*picture]); !fits)
    return name_model(spec.name, std::move(fits).error());
  Result<std::string> output = find_output(spec.outputs, session->outputs());
  if (!output) return name_model(spec.name, std::move(output).error());
  segmenter.output_ = std::move(*output);
  segmenter.session_ = std::move(session);
  return segmenter;
}

Result<Matte> Segmenter::segment(const ImageView& picture, std::span<const std::size_t> labels) const {
  IE_TRY(const Answer answer, answer_to({plan_, *session_, model_, output_, classes_ ? labels_ : 1}, picture));
  const MaskPlanes& planes = answer.planes;
  Matte matte{
      static_cast<std::uint32_t>(answer.places.xs.size()), static_cast<std::uint32_t>(answer.places.ys.size()), {}};
  std::vector<bool> chosen(planes.count);
  for (const std::size_t label : labels) chosen[label] = true;
  matte.alpha.reserve(std::size_t{matte.width} * matte.height);
  for (const Between& y : answer.places.ys)
    for (const Between& x : answer.places.xs)
      matte.alpha.push_back(classes_ ? margin(planes, chosen, x, y) : sample(planes, 0, x, y));
  if (classes_ || sigmoid_) std::ranges::transform(matte.alpha, matte.alpha.begin(), probability);
  if (stretch_) stretch(matte.alpha);
  for (float& alpha : matte.alpha) alpha = std::clamp(alpha, 0.0F, 1.0F);
  return matte;
}

Result<ClassMap> Segmenter::classes(const ImageView& picture) const {
  IE_TRY(const Answer answer, answer_to({plan_, *session_, model_, output_, classes_ ? labels_ : 1}, picture));
  const MaskPlanes& planes = answer.planes;
  const std::size_t width = answer.places.xs.size();
  ClassMap map{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(answer.places.ys.size()), {}, {}};
  std::vector<float> row(planes.width), best(width), second(width);
  std::vector<std::uint16_t> label(width);
  for (const Between& y : answer.places.ys) {
    std::ranges::fill(best, -std::numeric_limits<float>::infinity());
    std::ranges::fill(second, -std::numeric_limits<float>::infinity());
    for (std::size_t plane = 0; plane < planes.count; ++plane) {
      for (std::uint32_t x = 0; x < planes.width; ++x)
        row[x] = std::lerp(planes.at(plane, x, y.first), planes.at(plane, x, y.second), y.part);
      for (std::size_t x = 0; x < width; ++x) {
        const Between& at = answer.places.xs[x];
        const float value = row[at.first] + (row[at.second] - row[at.first]) * at.part;
        second[x] = std::max(second[x], std::min(best[x], value));
        if (value <= best[x]) continue;
        best[x] = value;
        label[x] = static_cast<std::uint16_t>(plane);
      }
    }
    map.label.insert(map.label.end(), label.begin(), label.end());
    for (std::size_t x = 0; x < width; ++x) map.certainty.push_back(probability(best[x] - second[x]));
  }
  return map;
}

}  // namespace image_engine::vision
