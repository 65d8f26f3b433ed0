// Whether a graph is what its spec for audio tagging says.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "audio/features.h"
#include "audio/sound_tagger.h"
#include "core/text.h"
#include "models/sound_check.h"

namespace image_engine::audio {
namespace {

constexpr double kUsualThreshold = 0.3;
constexpr double kMostSpanSeconds = 60;  // of `least_seconds` and `pause_seconds`

std::string tagged_shape(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : shape) sizes.push_back(size < 0 ? "?" : std::to_string(size));
  return fmt::format("[{}]", fmt::join(sizes, ", "));
}

bool may_be(std::int64_t size, std::int64_t wanted) { return size < 0 || size == wanted; }

// The shape of a window for the graph's input: ones before the numbers of one dimension, or of two with features.
Result<std::vector<std::int64_t>> shape_for(const infer::TensorInfo& input, const std::vector<std::int64_t>& heard) {
  const auto wrong = [&](const std::string& what) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("its input {} is {}, and {}", input.name, tagged_shape(input.shape), what));
  };
  if (input.type != ElementType::kFloat32) return wrong("models for audio tagging take float32");
  if (input.shape.size() < heard.size() || input.shape.size() > heard.size() + 2)
    return wrong(fmt::format("a window is {}: {}", tagged_shape(heard),
                             heard.size() == 1 ? "state `sound.features` for a model that takes features"
                                               : "leave `sound.features` out for a model that takes samples"));
  std::vector<std::int64_t> shape(input.shape.size() - heard.size(), 1);
  shape.insert(shape.end(), heard.begin(), heard.end());
  if (!std::ranges::equal(input.shape, shape, may_be))
    return wrong(fmt::format("a window by the spec is {}: change `sound.window_seconds` or `sound.features`",
                             tagged_shape(shape)));
  return shape;
}

Result<std::string> score_output(const models::Spec& spec, const infer::Session& session) {
  const auto& outputs = session.outputs();
  std::vector<std::string> names;
  for (const infer::TensorInfo& output : outputs) names.push_back(output.name);
  if (spec.outputs.empty() && names.size() != 1)
    return fail(ErrorCode::kCorrupt,
                fmt::format("its graph has {} outputs; state the one with the scores in `outputs`: {}", names.size(),
                            fmt::join(names, ", ")));
  const std::string& wanted = spec.outputs.empty() ? names.front() : spec.outputs.front();
  const auto found = std::ranges::find(outputs, wanted, &infer::TensorInfo::name);
  if (found == outputs.end())
    return fail(ErrorCode::kCorrupt,
                fmt::format("its graph has no output {}; it has {}", printable(wanted), fmt::join(names, ", ")));
  const auto labels = static_cast<std::int64_t>(spec.labels.size());
  if (found->type != ElementType::kFloat32 || found->shape.empty() || !may_be(found->shape.back(), labels))
    return fail(ErrorCode::kCorrupt,
                fmt::format("its output {} is {}, and there are {} labels: a score of each is needed", wanted,
                            tagged_shape(found->shape), labels));
  const bool is_one_row = std::all_of(found->shape.begin(), found->shape.end() - 1, [](auto n) { return n == 1; });
  const bool is_free = std::ranges::any_of(found->shape, [](auto n) { return n < 0; });
  if (spec.sound.row_seconds == 0 && !is_one_row && !is_free)
    return fail(ErrorCode::kCorrupt,
                fmt::format("its output {} is {}: state `sound.row_seconds`, the time from one row "
                            "of scores to the next",
                            wanted, tagged_shape(found->shape)));
  return wanted;
}

Result<double> tagging_option(const models::Spec& spec, const std::string& name, double otherwise, double most) {
  IE_TRY(const double value, models::number_option(spec, name, otherwise));
  if (value >= 0 && value <= most) return value;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("option {} is {}; it is a number from 0 to {}", name, value, most));
}

void keep_labels(const models::Spec& spec, const std::vector<std::string>& elsewhere, TaggingPlan& plan) {
  const auto is_elsewhere = [&](const std::string& label) {
    return std::ranges::any_of(elsewhere,
                               [&](const std::string& other) { return ascii_lower(other) == ascii_lower(label); });
  };
  const auto& keep = spec.sound.keep;
  for (std::size_t i = 0; i < spec.labels.size(); ++i) {
    const std::string& label = spec.labels[i];
    if (is_elsewhere(label) || (!keep.empty() && std::ranges::find(keep, label) == keep.end())) continue;
    plan.kept.push_back(i);
    plan.names.push_back(label);
  }
}

void set_times(const models::SoundInput& sound, TaggingPlan& plan) {
  const auto samples = [](double seconds) { return std::llround(seconds * kSampleRate); };
  const double hop = sound.hop_seconds > 0 ? sound.hop_seconds : sound.window_seconds;
  plan.window = samples(sound.window_seconds);
  plan.hop = samples(hop);
  plan.has_rows = sound.row_seconds > 0;
  plan.hop_steps = plan.has_rows ? std::llround(hop / sound.row_seconds) : 1;
  const double step = hop / static_cast<double>(plan.hop_steps);
  plan.window_steps =
      std::max(plan.hop_steps, static_cast<std::int64_t>(std::floor(sound.window_seconds / step + 1e-6)));
}

Result<TaggingPlan> plan_for(const models::Spec& spec, const infer::Session& session,
                             const std::vector<std::string>& elsewhere) {
  IE_CHECK(models::check_sound_input(spec));
  TaggingPlan plan;
  plan.model = spec.name;
  plan.labels = spec.labels.size();
  plan.doubles_rate = spec.sound.rate != kSampleRate;
  plan.has_logits = spec.head == models::kSigmoidHead;
  keep_labels(spec, elsewhere, plan);
  set_times(spec.sound, plan);
  IE_TRY(const double threshold, tagging_option(spec, "threshold", kUsualThreshold, 1));
  IE_TRY(const double least, tagging_option(spec, "least_seconds", 0, kMostSpanSeconds));
  IE_TRY(const double pause, tagging_option(spec, "pause_seconds", 0, kMostSpanSeconds));
  plan.threshold = static_cast<float>(threshold);
  plan.least_sound = static_cast<std::int64_t>(std::ceil(least / plan.step_seconds() - 1e-6));
  plan.most_pause = static_cast<std::int64_t>(std::floor(pause / plan.step_seconds() + 1e-6));
  std::vector<std::int64_t> heard = {plan.window * (plan.doubles_rate ? 2 : 1)};
  if (spec.sound.features.bands > 0) {
    plan.features.emplace(spec.sound.features, spec.sound.rate);
    const auto frames = static_cast<std::int64_t>(plan.features->frames(static_cast<std::size_t>(heard.front())));
    heard = {frames, static_cast<std::int64_t>(plan.features->bands())};
    if (spec.sound.features.layout == "bands-time") std::ranges::reverse(heard);
  }
  if (session.inputs().size() != 1)
    return fail(ErrorCode::kCorrupt,
                fmt::format("its graph has {} inputs; a model for audio tagging has one", session.inputs().size()));
  IE_TRY(plan.input, shape_for(session.inputs().front(), heard));
  IE_TRY(std::string output, score_output(spec, session));
  plan.outputs = {std::move(output)};
  return plan;
}

}  // namespace

Result<TaggingPlan> tagging_plan(const models::Spec& spec, const infer::Session& session,
                                 const std::vector<std::string>& elsewhere) {
  Result<TaggingPlan> plan = plan_for(spec, session, elsewhere);
  if (plan) return plan;
  return fail(plan.error().code, fmt::format("model {}: {}", spec.name, plan.error().message));
}

}  // namespace image_engine::audio
