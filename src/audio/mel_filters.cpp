#include "audio/mel_filters.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace image_engine::audio {
namespace {

// Slaney's scale: linear to 1000 Hz, then logarithmic.
constexpr double kSlaneyStep = 200.0 / 3, kSlaneyBend = 1000, kSlaneyBendMel = kSlaneyBend / kSlaneyStep;
const double kSlaneyGrowth = std::log(6.4) / 27;

double slaney_mel(double hertz) {
  return hertz < kSlaneyBend ? hertz / kSlaneyStep : kSlaneyBendMel + std::log(hertz / kSlaneyBend) / kSlaneyGrowth;
}
double slaney_hertz(double mel) {
  return mel < kSlaneyBendMel ? mel * kSlaneyStep : kSlaneyBend * std::exp(kSlaneyGrowth * (mel - kSlaneyBendMel));
}

// HTK's scale.
double htk_mel(double hertz) { return 1127 * std::log(1 + hertz / 700); }
double htk_hertz(double mel) { return 700 * (std::exp(mel / 1127) - 1); }

double unchanged(double place) { return place; }

struct MelRule {
  double (*to_scale)(double);  // of hertz
  double (*place)(double);     // of hertz, where the triangles are straight
  double (*corner)(double);    // of the scale, likewise
  bool equal_area;
};
// By MelKind.
constexpr MelRule kMelRules[] = {
    {slaney_mel, unchanged, slaney_hertz, true},
    {htk_mel, unchanged, htk_hertz, false},
    {htk_mel, htk_mel, unchanged, false},
};

// The triangle from `left` over `centre` to `right`, with `height` there, at bins whose places at(bin) rise.
template <typename At>
MelFilter triangle(double left, double centre, double right, double height, std::size_t bins, At at) {
  MelFilter filter;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    const double place = at(bin);
    const double weight = std::min((place - left) / (centre - left), (right - place) / (right - centre));
    if (weight <= 0) continue;
    if (filter.weights.empty()) filter.first = bin;
    filter.weights.push_back(static_cast<float>(weight * height));
  }
  return filter;
}

}  // namespace

std::vector<MelFilter> mel_filters(MelKind kind, std::size_t bands, double lowest, double highest,
                                   std::size_t transform, std::size_t rate) {
  const MelRule& rule = kMelRules[static_cast<std::size_t>(kind)];
  const double low = rule.to_scale(lowest), step = (rule.to_scale(highest) - low) / static_cast<double>(bands + 1);
  const auto corner = [&](std::size_t i) { return rule.corner(low + step * static_cast<double>(i)); };
  const auto place = [&](std::size_t bin) {
    return rule.place(static_cast<double>(bin * rate) / static_cast<double>(transform));
  };
  std::vector<MelFilter> filters;
  for (std::size_t i = 0; i < bands; ++i) {
    const double left = corner(i), right = corner(i + 2), height = rule.equal_area ? 2 / (right - left) : 1;
    filters.push_back(triangle(left, corner(i + 1), right, height, transform / 2 + 1, place));
  }
  return filters;
}

std::vector<double> hann(std::size_t samples, bool periodic) {
  const auto steps = static_cast<double>(periodic ? samples : samples - 1);
  std::vector<double> window(samples);
  for (std::size_t i = 0; i < samples; ++i)
    window[i] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / steps);
  return window;
}

}  // namespace image_engine::audio
