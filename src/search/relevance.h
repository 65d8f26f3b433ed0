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
// fitted to what was scanned (expectation–maximisation from the prior, which counts as `kPriorPictures` pictures).
// Never falls when the cosine rises. A plain value.
class Relevance {
 public:
  Relevance(const CosineHistogram& scanned, const CosinePrior& prior);
  [[nodiscard]] double of(double cosine) const;  // 0…1
  // Pictures below this are not about the query.
  static constexpr double kLeast = 0.5;

 private:
  double mean_, deviation_, related_mean_, related_deviation_, share_;
};

}  // namespace image_engine::search
