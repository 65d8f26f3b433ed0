#include "search/relevance.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace image_engine::search {

const CosinePrior kClipPrior{.mean = 0.18, .deviation = 0.025, .gap = 0.09, .related_deviation = 0.03};
const CosinePrior kSentencePrior{
    .mean = 0.276, .deviation = 0.109, .gap = 0.476, .related_deviation = 0.127, .verified = true};
const CosinePrior kSpokenPrior{
    .mean = 0.093, .deviation = 0.088, .gap = 0.241, .related_deviation = 0.101, .verified = true};

namespace {

// A histogram's bin: the resolution of the fit.
constexpr double kLeastDeviation = 2.0 / CosineHistogram::kBins;
// Even in a library of similar pictures, unrelated cosines vary by at least this part of the prior's deviation: their
// upper tail, where the threshold is, is heavier than that of a normal distribution fitted to all.
constexpr double kLeastPartOfDeviation = 0.9;
constexpr int kMostRounds = 200;
constexpr double kSettled = 1e-6;

// The fit's starting points: the mean, in prior deviations from the prior's mean, and the share of related pictures.
// One mean for a query with few or no related pictures, three for one with many.
struct Start {
  double mean, share;
};
constexpr Start kStarts[] = {
    {0, Relevance::kPriorShare}, {-Relevance::kReach, 0.5}, {0, 0.5}, {Relevance::kReach, 0.5}};

double square(double x) { return x * x; }

double log_normal(double x, double mean, double deviation) {
  return -std::log(deviation) - square((x - mean) / deviation) / 2;
}

}  // namespace

double Relevance::Mixture::log_odds(double cosine) const {
  return std::log(share / (1 - share)) + log_normal(cosine, related_mean, related_deviation) -
         log_normal(cosine, mean, deviation);
}

// One fit of the scanned cosines.
struct Relevance::Fit {
  Fit(const CosineHistogram& histogram, const CosinePrior& given) : scanned(histogram), prior(given) {
    prior.deviation = std::max(kLeastDeviation, prior.deviation);
    prior.related_deviation = std::max(kLeastDeviation, prior.related_deviation);
    prior.gap = std::max(0.0, prior.gap);
  }

  Mixture from(const Start& start) {
    Mixture m{prior.mean + start.mean * prior.deviation, prior.deviation, 0, prior.related_deviation, start.share};
    m.related_mean = m.mean + prior.gap;
    for (int round = 0; round < kMostRounds; ++round) {
      const Mixture before = m;
      improve(m);
      if (std::abs(m.mean - before.mean) + std::abs(m.share - before.share) < kSettled) break;
    }
    return m;
  }

  void improve(Mixture& m) const {
    double others = 0, sum = 0, squares = 0, related = 0;
    for (std::size_t bin = 0; bin < CosineHistogram::kBins; ++bin) {
      if (scanned.counts[bin] == 0) continue;
      const double cosine = CosineHistogram::middle_of(bin), count = scanned.counts[bin];
      const double other = count / (1 + std::exp(m.log_odds(cosine)));
      related += count - other;
      others += other;
      sum += other * cosine;
      squares += other * cosine * cosine;
    }
    const double reach = kReach * prior.deviation, weight = kPriorPictures + others;
    m.mean = std::clamp((kPriorPictures * prior.mean + sum) / weight, prior.mean - reach, prior.mean + reach);
    m.related_mean = m.mean + prior.gap;
    const double spread = squares - 2 * m.mean * sum + others * square(m.mean);
    const double variance =
        (kPriorPictures * (square(prior.deviation) + square(m.mean - prior.mean)) + spread) / weight;
    m.deviation =
        std::max({kLeastDeviation, prior.deviation * kLeastPartOfDeviation, std::sqrt(std::max(0.0, variance))});
    m.share = (kPriorPictures * kPriorShare + related) / (weight + related);
  }

  // The log likelihood of the scanned cosines and the prior's pictures, up to a constant.
  [[nodiscard]] double likelihood(const Mixture& m) const {
    double result =
        kPriorPictures *
        (kPriorShare * std::log(m.share) + (1 - kPriorShare) * std::log(1 - m.share) - std::log(m.deviation) -
         (square(prior.deviation) + square(m.mean - prior.mean)) / 2 / square(m.deviation));
    for (std::size_t bin = 0; bin < CosineHistogram::kBins; ++bin) {
      if (scanned.counts[bin] == 0) continue;
      const double cosine = CosineHistogram::middle_of(bin);
      const double other = std::log(1 - m.share) + log_normal(cosine, m.mean, m.deviation);
      const double odds = m.log_odds(cosine);
      result +=
          scanned.counts[bin] * (other + (odds > 0 ? odds + std::log1p(std::exp(-odds)) : std::log1p(std::exp(odds))));
    }
    return result;
  }

  const CosineHistogram& scanned;
  CosinePrior prior;
};

Relevance::Relevance(const CosineHistogram& scanned, const CosinePrior& prior) {
  Fit fit(scanned, prior);
  double best = -std::numeric_limits<double>::infinity();
  for (const Start& start : kStarts) {
    const Mixture mixture = fit.from(start);
    const double likelihood = fit.likelihood(mixture);
    if (likelihood <= best) continue;
    best = likelihood;
    mixture_ = mixture;
  }
  const double narrow = 1 / square(mixture_.deviation), wide = 1 / square(mixture_.related_deviation);
  if (narrow == wide) return;
  const double turn = (mixture_.mean * narrow - mixture_.related_mean * wide) / (narrow - wide);
  (narrow > wide ? lowest_ : highest_) = turn;
}

double Relevance::of(double cosine) const {
  if (std::isnan(cosine)) return 0;
  return 1 / (1 + std::exp(-mixture_.log_odds(std::min(std::max(cosine, lowest_), highest_))));
}

}  // namespace image_engine::search
