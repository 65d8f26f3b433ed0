// Turns cosines into relevance: which of a query's nearest pictures are about it.
#pragma once

#include <string>

#include "search/vectors.h"

namespace image_engine::search {

// A model's distribution of cosines between unrelated texts and pictures, and how far above it those of related pairs
// are. docs/search.md has the source of the numbers.
struct CosinePrior {
  double mean = 0, deviation = 0;  // of unrelated pairs
  double gap = 0;                  // related pairs' mean minus `mean`
  double related_deviation = 0;
  bool verified = false;  // measured with the real weights
};
// For models like CLIP, and for sentence vectors of a query and a tag, or of a query and a passage of speech. A spec's
// options relevance_mean, relevance_deviation, relevance_gap and relevance_related_deviation override them for its
// model.
extern const CosinePrior kClipPrior, kSentencePrior, kSpokenPrior;

// The posterior probability that a picture of this cosine is about the query, by a mixture of two normal distributions
// fitted to the scanned cosines: expectation–maximisation in which the prior counts as `kPriorPictures` pictures, from
// several starts, of which the likeliest result is used. For related pictures only their share is learned: their mean
// is the prior's gap above the others' mean, which is within `kReach` prior deviations of the prior's mean. Rises
// monotonically with the cosine. A plain value.
class Relevance {
 public:
  Relevance(const CosineHistogram& scanned, const CosinePrior& prior);
  [[nodiscard]] double of(double cosine) const;  // 0…1; 0 for NaN
  // Pictures below this are not about the query.
  static constexpr double kLeast = 0.5;
  static constexpr double kPriorPictures = 20;
  static constexpr double kPriorShare = 0.01;  // of the related ones
  static constexpr double kReach = 2;

 private:
  struct Mixture {
    double mean, deviation;  // of unrelated pictures
    double related_mean, related_deviation;
    double share;  // of the related ones
    // The log odds of related against unrelated.
    [[nodiscard]] double log_odds(double cosine) const;
  };
  struct Fit;

  Mixture mixture_;
  // Between these the odds rise with the cosine; beyond them the wider distribution would reverse them.
  double lowest_ = -1, highest_ = 1;
};

}  // namespace image_engine::search
