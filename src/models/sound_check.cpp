#include "models/sound_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"

namespace image_engine::models {
namespace {

struct NumberRule {
  std::string_view key;
  double value, least, most;
};
struct WordRule {
  std::string_view key;
  const std::string& value;
  std::vector<std::string_view> known;
};

tl::unexpected<Error> wrong_sound(std::string what) { return fail(ErrorCode::kInvalidArgument, std::move(what)); }

Status check_numbers(std::initializer_list<NumberRule> rules) {
  for (const NumberRule& rule : rules)
    if (!(rule.value >= rule.least && rule.value <= rule.most))
      return wrong_sound(fmt::format("has {} for `sound.{}`; it is a number from {} to {}", rule.value, rule.key,
                                     rule.least, rule.most));
  return {};
}

Status check_words(std::initializer_list<WordRule> rules) {
  for (const WordRule& rule : rules)
    if (std::ranges::find(rule.known, rule.value) == rule.known.end())
      return wrong_sound(fmt::format("has \"{}\" for `{}`; it is one of {}", printable(rule.value), rule.key,
                                     fmt::join(rule.known, ", ")));
  return {};
}

Status check_features(const SoundInput& sound) {
  const SoundFeatures& features = sound.features;
  if (features.bands == 0) return {};
  const double half = sound.rate / 2.0, highest = features.highest > 0 ? features.highest : half;
  IE_CHECK(check_numbers({{"features.bands", static_cast<double>(features.bands), 1, 256},
                          {"features.frame", static_cast<double>(features.frame), 16, 2048},
                          {"features.step", static_cast<double>(features.step), 16, 16'000},
                          {"features.power", static_cast<double>(features.power), 1, 2},
                          {"features.highest", highest, 1, half},
                          {"features.lowest", features.lowest, 0, highest - 1},
                          {"features.offset", features.offset, 0, 1},
                          {"features.floor", features.floor, 0, 1},
                          {"features.range", features.range, 0, 1000},
                          {"features.mean", features.mean, -1e6, 1e6},
                          {"features.deviation", features.deviation, 1e-6, 1e6}}));
  IE_CHECK(check_words({{"sound.features.filters", features.filters, {"torchaudio", "librosa", "kaldi"}},
                        {"sound.features.window", features.window, {"periodic", "symmetric"}},
                        {"sound.features.edges", features.edges, {"cut", "mirrored"}},
                        {"sound.features.layout", features.layout, {"time-bands", "bands-time"}},
                        {"sound.features.log", features.log, {"natural", "decibels", "none"}}}));
  if (features.transform != 0 &&
      (!std::has_single_bit(features.transform) || features.transform < features.frame || features.transform > 2048))
    return wrong_sound(fmt::format("has {} for `sound.features.transform`; it is a power of two from `frame` to 2048",
                                   features.transform));
  if (features.log != "none" && features.offset + features.floor < 1e-30)
    return wrong_sound("has neither `sound.features.offset` nor `floor`: silence has no logarithm");
  if (features.frame > sound.window_seconds * sound.rate)
    return wrong_sound("has `sound.features.frame` longer than the window");
  return {};
}

Status check_classes(const Spec& spec) {
  if (spec.labels.empty()) return wrong_sound("lacks `labels`: the names of the sounds, in the order of the scores");
  std::set<std::string_view> names;
  for (const std::string& label : spec.labels)
    if (!names.insert(label).second) return wrong_sound(fmt::format("has two labels \"{}\"", printable(label)));
  for (const std::string& name : spec.sound.keep)
    if (!names.contains(name)) {
      const std::vector<std::string_view> labels(spec.labels.begin(), spec.labels.end());
      const std::string_view nearest = nearest_name(std::string_view(name).substr(0, 100), labels);
      return wrong_sound(fmt::format("keeps \"{}\", which is none of its labels{}", printable(name),
                                     nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest)));
    }
  return {};
}

}  // namespace

Status check_sound_input(const Spec& spec) {
  const SoundInput& sound = spec.sound;
  if (spec.task != kTaggingTask)
    return sound.rate == 0 ? Status{}
                           : wrong_sound(fmt::format("has `sound`, which only models for {} have", kTaggingTask));
  if (sound.rate != 16'000 && sound.rate != 32'000)
    return wrong_sound(
        fmt::format("has {} for `sound.rate`; a model for {} hears 16000 or 32000 Hz", sound.rate, kTaggingTask));
  const double hop = sound.hop_seconds > 0 ? sound.hop_seconds : sound.window_seconds;
  IE_CHECK(check_numbers({{"window_seconds", sound.window_seconds, 0.1, 30},
                          {"hop_seconds", sound.hop_seconds, 0, sound.window_seconds},
                          {"hop_seconds", hop, 0.05, 30},
                          {"row_seconds", sound.row_seconds, 0, hop}}));
  if (sound.row_seconds != 0) {
    IE_CHECK(check_numbers({{"row_seconds", sound.row_seconds, 0.005, hop}}));
    const double rows = hop / sound.row_seconds;
    if (std::abs(rows - std::round(rows)) > 1e-3)
      return wrong_sound(fmt::format("has {} rows of {} s in `sound.hop_seconds`; a hop is a whole number of rows",
                                     rows, sound.row_seconds));
  }
  IE_CHECK(check_words({{"head", spec.head, {kProbabilitiesHead, kSigmoidHead}}}));
  IE_CHECK(check_features(sound));
  return check_classes(spec);
}

}  // namespace image_engine::models
