#include "vision/segmenter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "vision/graph_checks.h"

namespace image_engine::vision {
namespace {

// The output's planes, however they are laid out.
struct Planes {
  std::span<const float> values;
  std::uint32_t width = 0, height = 0;
  std::size_t count = 1, of_pixel = 1, of_plane = 1;  // distances from a pixel to the next, a plane to the next
  [[nodiscard]] float at(std::size_t plane, std::uint32_t x, std::uint32_t y) const {
    return values[plane * of_plane + (std::size_t{y} * width + x) * of_pixel];
  }
};

Result<Planes> planes_of(const Tensor& output, std::size_t count) {
  IE_CHECK(check_output(output, 1));
  std::vector<std::int64_t> shape = output.shape;
  if (shape.size() == 3 && count == 1) shape.insert(shape.begin() + 1, 1);
  const auto wanted = static_cast<std::int64_t>(count);
  const bool first = shape.size() == 4 && shape[1] == wanted, last = shape.size() == 4 && shape[3] == wanted;
  constexpr std::int64_t kMost = preprocess::kLargestEdge;
  const std::int64_t height = first ? shape[2] : last ? shape[1] : 0, width = first ? shape[3] : last ? shape[2] : 0;
  if (height < 1 || width < 1 || height > kMost || width > kMost)
    return fail(ErrorCode::kCorrupt, "its output is " + shape_text(output.shape) + ", not " + std::to_string(count) +
                                         " planes, as many as its spec has labels");
  Planes planes{output.as<float>(), static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), count};
  planes.of_plane = first ? std::size_t{planes.width} * planes.height : 1;
  planes.of_pixel = first ? 1 : count;
  return planes;
}

// Between which two samples a place lies, and how far from the first.
struct Between {
  std::uint32_t first = 0, second = 0;
  float part = 0;
};
// Of `count` places that cover [from, from + length) of an edge of `samples` samples, each at its middle.
std::vector<Between> places(std::uint32_t count, double from, double length, std::uint32_t samples) {
  std::vector<Between> all(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const double at = std::clamp(from + (i + 0.5) * length / count - 0.5, 0.0, samples - 1.0);
    const auto first = static_cast<std::uint32_t>(at);
    all[i] = {first, std::min(first + 1, samples - 1), static_cast<float>(at - first)};
  }
  return all;
}

float sample(const Planes& planes, std::size_t plane, const Between& x, const Between& y) {
  const float top = std::lerp(planes.at(plane, x.first, y.first), planes.at(plane, x.second, y.first), x.part);
  if (y.part == 0) return top;
  return std::lerp(top, std::lerp(planes.at(plane, x.first, y.second), planes.at(plane, x.second, y.second), x.part),
                   y.part);
}

float sigmoid(float logit) { return 1 / (1 + std::exp(-logit)); }

// How far the best of the chosen planes is above the best of the others.
float margin(const Planes& planes, const std::vector<bool>& chosen, const Between& x, const Between& y) {
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
  Planes planes;
  std::vector<Between> xs, ys;
};

struct Question {
  const preprocess::Plan& plan;
  const infer::Session& session;
  const std::string &model, &output;
  std::size_t planes = 1;  // several: of classes
};

// As many places as the picture's part of the output has samples, or of classes the input has pixels.
Result<Answer> answer_to(const Question& asked, const ImageView& picture) {
  IE_TRY(preprocess::Prepared prepared, preprocess::prepare(asked.plan, picture));
  Answer answer;
  IE_TRY(answer.outputs, asked.session.run({&prepared.tensor, 1}, {&asked.output, 1}));
  Result<Planes> planes = planes_of(answer.outputs.front(), asked.planes);
  if (!planes) return name_model(asked.model, std::move(planes).error());
  answer.planes = *planes;
  const preprocess::Placement& placed = prepared.placement;
  const double across = static_cast<double>(planes->width) / asked.plan.width,
               down = static_cast<double>(planes->height) / asked.plan.height;
  const double width = picture.width * placed.scale_x, height = picture.height * placed.scale_y;
  const auto count = [](double length) { return static_cast<std::uint32_t>(std::max(1L, std::lround(length))); };
  const bool classes = asked.planes > 1;
  answer.xs = places(count(classes ? width : width * across), placed.offset_x * across, width * across, planes->width);
  answer.ys = places(count(classes ? height : height * down), placed.offset_y * down, height * down, planes->height);
  return answer;
}

void stretch(std::vector<float>& values) {
  const auto [least, most] = std::ranges::minmax(values);
  if (most <= least) return;
  for (float& value : values) value = (value - least) / (most - least);
}

Result<bool> yes_or_no(const models::Spec& spec, const char* name) {
  const auto found = spec.head_options.find(name);
  if (found == spec.head_options.end() || found->second == "no") return false;
  if (found->second == "yes") return true;
  return fail(ErrorCode::kInvalidArgument,
              std::string("option ") + name + " is '" + found->second + "', not yes or no");
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
  const Planes& planes = answer.planes;
  Matte matte{static_cast<std::uint32_t>(answer.xs.size()), static_cast<std::uint32_t>(answer.ys.size()), {}};
  std::vector<bool> chosen(planes.count);
  for (const std::size_t label : labels) chosen[label] = true;
  matte.alpha.reserve(std::size_t{matte.width} * matte.height);
  for (const Between& y : answer.ys)
    for (const Between& x : answer.xs)
      matte.alpha.push_back(classes_ ? margin(planes, chosen, x, y) : sample(planes, 0, x, y));
  if (classes_ || sigmoid_) std::ranges::transform(matte.alpha, matte.alpha.begin(), sigmoid);
  if (stretch_) stretch(matte.alpha);
  for (float& alpha : matte.alpha) alpha = std::clamp(alpha, 0.0F, 1.0F);
  return matte;
}

Result<ClassMap> Segmenter::classes(const ImageView& picture) const {
  IE_TRY(const Answer answer, answer_to({plan_, *session_, model_, output_, classes_ ? labels_ : 1}, picture));
  const Planes& planes = answer.planes;
  const std::size_t width = answer.xs.size();
  ClassMap map{static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(answer.ys.size()), {}, {}};
  std::vector<float> row(planes.width), best(width), second(width);
  std::vector<std::uint16_t> label(width);
  for (const Between& y : answer.ys) {
    std::ranges::fill(best, -std::numeric_limits<float>::infinity());
    std::ranges::fill(second, -std::numeric_limits<float>::infinity());
    for (std::size_t plane = 0; plane < planes.count; ++plane) {
      for (std::uint32_t x = 0; x < planes.width; ++x)
        row[x] = std::lerp(planes.at(plane, x, y.first), planes.at(plane, x, y.second), y.part);
      for (std::size_t x = 0; x < width; ++x) {
        const Between& at = answer.xs[x];
        const float value = row[at.first] + (row[at.second] - row[at.first]) * at.part;
        second[x] = std::max(second[x], std::min(best[x], value));
        if (value <= best[x]) continue;
        best[x] = value;
        label[x] = static_cast<std::uint16_t>(plane);
      }
    }
    map.label.insert(map.label.end(), label.begin(), label.end());
    for (std::size_t x = 0; x < width; ++x) map.certainty.push_back(sigmoid(best[x] - second[x]));
  }
  return map;
}

}  // namespace image_engine::vision
