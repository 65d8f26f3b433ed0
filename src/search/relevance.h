// From cosines to relevance: which of a query's nearest pictures are about it at all.
#pragma once

#include <string>

#include "search/vectors.h"

namespace image_engine::search {

// How cosines of text and picture that have nothing to do with each other are spread in a model, and how far above
// those of pairs that belong together lie. docs/search.md says where the numbers come from.
struct CosinePrior {
  double mean = 0, deviation = 0;  // of unrelated pairs
  double gap = 0;                  // of related pairs' mean above it
  double related_deviation = 0;
  bool verified = false;  // by the real weights
};
// Of CLIP's kind, and of sentence vectors between a query and a tag. A spec's options relevance_mean,
// relevance_deviation, relevance_gap and relevance_related_deviation say otherwise for its model.
extern const CosinePrior kClipPrior, kSentencePrior;

// The posterior probability that a picture of this cosine is about the query, by a mixture of two normal distributions
// fitted to what was scanned: expectation–maximisation in which the prior counts as `kPriorPictures` pictures, from
// several starts, of which the likeliest end is taken. Of the related ones only the share is learned: they lie the
// prior's gap above the others, whose mean is within `kReach` of the prior's deviations of its mean.
// Never falls when the cosine rises. A plain value.
class Relevance {
 public:
  Relevance(const CosineHistogram& scanned, const CosinePrior& prior);
  [[nodiscard]] double of(double cosine) const;  // 0…1; 0 for what is no number
  // Pictures below this are not about the query.
  static constexpr double kLeast = 0.5;
  static constexpr double kPriorPictures = 20;
  static constexpr double kPriorShare = 0.01;  // of the related ones
  static constexpr double kReach = 2;

 private:
  struct Mixture {
    double mean, deviation;  // of what is not about the query
    double related_mean, related_deviation;
    double share;  // of the related ones
    // The logarithm of how much likelier related is than not.
    [[nodiscard]] double log_odds(double cosine) const;
  };
  struct Fit;

  Mixture mixture_;
  // Between these the odds rise with the cosine; beyond, the wider distribution's far side would turn them.
  double lowest_ = -1, highest_ = 1;
};

}  // namespace image_engine::search
