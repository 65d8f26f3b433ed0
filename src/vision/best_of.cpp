#include "vision/best_of.h"

#include <algorithm>
#include <cmath>

namespace image_engine::vision {
namespace {

struct Criterion {
  const char* reason;
  double weight;
  double noticeable;  // the least difference of values that counts as a reason
  double (*value)(const Candidate&);
};

double quality_or(const std::optional<Quality>& quality, double Quality::*field, double otherwise) {
  return quality ? (*quality).*field : otherwise;
}

// A rejected picture loses whatever its other values are.
double rating_value(const Candidate& candidate) {
  const int rating = candidate.rating.value_or(0);
  return rating < 0 ? -5.0 : std::min(rating, 5) / 5.0;
}

// The person's rating counts most, then what cannot be restored: resolution, sharpness, the original's data. Twice the
// pixels weigh as much as the step from blurred (0.2) to sharp (0.7), since a reduced copy looks sharper.
constexpr double kEnoughKeywords = 5;
constexpr Criterion kCriteria[] = {
    {"rated higher", 10, 0.1, rating_value},
    {"raw", 2, 0.5, [](const Candidate& c) { return c.raw ? 1.0 : 0.0; }},
    {"more pixels", 1, 0.02, [](const Candidate& c) { return std::log2(static_cast<double>(c.pixels) + 1); }},
    {"sharper", 2, 0.03, [](const Candidate& c) { return quality_or(c.quality, &Quality::sharpness, 0.5); }},
    {"better exposed", 1, 0.05, [](const Candidate& c) { return quality_or(c.quality, &Quality::exposure, 0.5); }},
    {"less noise", 0.5, 0.05, [](const Candidate& c) { return 1 - quality_or(c.quality, &Quality::noise, 0.5); }},
    {"has its time", 0.8, 0.5, [](const Candidate& c) { return c.has_taken ? 1.0 : 0.0; }},
    {"has GPS", 0.6, 0.5, [](const Candidate& c) { return c.has_gps ? 1.0 : 0.0; }},
    {"lossless", 0.5, 0.5, [](const Candidate& c) { return c.lossless || c.raw ? 1.0 : 0.0; }},
    {"more keywords", 0.4, 0.1, [](const Candidate& c) { return std::min(c.keywords / kEnoughKeywords, 1.0); }},
    {"more bytes", 0.1, 0.1, [](const Candidate& c) { return std::log2(static_cast<double>(c.bytes) + 1); }},
};

double total(const Candidate& candidate) {
  double sum = 0;
  for (const Criterion& criterion : kCriteria) sum += criterion.weight * criterion.value(candidate);
  return sum;
}

struct Advantage {
  const char* reason;
  double weight;
};

std::vector<std::string> reasons_for(const Candidate& best, const Candidate& other) {
  std::vector<Advantage> advantages;
  for (const Criterion& criterion : kCriteria) {
    const double difference = criterion.value(best) - criterion.value(other);
    if (difference >= criterion.noticeable) advantages.push_back({criterion.reason, criterion.weight * difference});
  }
  std::stable_sort(advantages.begin(), advantages.end(),
                   [](const Advantage& a, const Advantage& b) { return a.weight > b.weight; });
  std::vector<std::string> reasons;
  for (const Advantage& advantage : advantages) reasons.emplace_back(advantage.reason);
  if (reasons.empty()) reasons.emplace_back("no better, but first");
  return reasons;
}

}  // namespace

Choice choose_best(std::span<const Candidate> candidates) {
  std::vector<double> totals;
  for (const Candidate& candidate : candidates) totals.push_back(total(candidate));
  const auto greatest = std::max_element(totals.begin(), totals.end());
  Choice choice{static_cast<std::size_t>(greatest - totals.begin()), {}};
  if (candidates.size() < 2) return choice;
  *greatest = -HUGE_VAL;
  const auto second = static_cast<std::size_t>(std::max_element(totals.begin(), totals.end()) - totals.begin());
  choice.reasons = reasons_for(candidates[choice.best], candidates[second]);
  return choice;
}

}  // namespace image_engine::vision
