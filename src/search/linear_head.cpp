#include "search/linear_head.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <numeric>
#include <string>

namespace image_engine::search {
namespace {

// The positive rows weigh 1 together, and so do a person's negative ones, unless they are fewer: then each weighs as
// much as a positive. The background weighs up to 2 in all, whatever its size, so that a picture halfway between the
// examples and the library is not in the class, while the few background rows that belong to the class change little. A
// single example shows least about the extent of its class: the background then weighs 1. Found, like kRidge, on
// synthetic clusters with a common direction, as in CLIP's vectors (512 dimensions, 50 clusters).
constexpr double kBackground = 2;
constexpr double kRidge = 0.003;

// Rows this near to the examples, on a scale from the library's average to the examples' nearness to each other, count
// as similar; together they weigh at most this part of the background. Found with the same clusters: if up to 80 % of a
// library is in the class, all of it is found, and if similar things are a few per cent, they are still kept apart from
// it.
constexpr double kAlike = 0.85;
constexpr double kFarther = 3;  // and at most this many times as far from the examples as those are from each other
constexpr double kMostAlike = 0.05;
// And each weighs so little against the ridge that the head cannot memorise it.
constexpr double kMostOfOne = kRidge / 3;
constexpr double kAtLarge = 0.1;  // the quantile of nearness below all members of the class
// The examples' nearness to each other, on a scale from the library's average to 1: for a single example, and the
// minimum.
constexpr double kUsualNearness = 0.6;
constexpr double kLeastNearness = 0.3;

constexpr int kMostSteps = 200;
constexpr std::size_t kMemory = 10;      // pairs kept, as is usual
constexpr double kSmallGradient = 1e-5;  // about the precision of confidences

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

// Sums in lanes, which the compiler can vectorise; always in the same order.
double dot(std::span<const float> row, std::span<const float> weights) {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= row.size(); i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += row[i + lane] * weights[i + lane];
  double sum = std::accumulate(lanes.begin(), lanes.end(), 0.0);
  for (; i < row.size(); ++i) sum += double{row[i]} * double{weights[i]};
  return sum;
}

double logistic(double value) { return 1 / (1 + std::exp(-value)); }

double rows_of(const std::vector<float>& values, std::size_t dimensions) {
  const std::size_t rows = values.size() / dimensions;
  return static_cast<double>(rows);
}

// Of one row.
double background_weight(const TrainingSet& set) {
  const double positive = rows_of(set.positive, set.dimensions);
  return kBackground * positive / (positive + 1) / std::max(1.0, rows_of(set.background, set.dimensions));
}

// The weighted loss of a head [weights…, bias] and its gradient.
class Loss {
 public:
  // `shares`: the weight of each background row, 0…1.
  Loss(const TrainingSet& set, std::span<const double> shares) : dimensions_(set.dimensions) {
    const double positive = rows_of(set.positive, dimensions_);
    groups_ = {{{set.positive, {}, 1, 1 / positive},
                {set.negative, {}, -1, 1 / std::max(positive, rows_of(set.negative, dimensions_))},
                {set.background, shares, -1, background_weight(set)}}};
  }

  double at(const Vector& head, Vector& slope) const {
    const std::vector<float> weights(head.begin(), head.end() - 1);
    std::vector<float> sum(dimensions_);  // of rows by their pull
    double loss = 0, pull_on_bias = 0;
    for (const Group& group : groups_)
      for (std::size_t from = 0; from < group.rows.size(); from += dimensions_) {
        const auto row = group.rows.subspan(from, dimensions_);
        const double weight = group.weight * (group.shares.empty() ? 1 : group.shares[from / dimensions_]);
        const double margin = group.sign * (dot(row, weights) + head.back());
        loss += weight * (std::max(0.0, -margin) + std::log1p(std::exp(-std::abs(margin))));
        const double pull = -group.sign * weight * logistic(-margin);
        pull_on_bias += pull;
        const auto factor = static_cast<float>(pull);
        for (std::size_t i = 0; i < dimensions_; ++i) sum[i] += factor * row[i];
      }
    for (std::size_t i = 0; i < dimensions_; ++i) {
      slope[i] = double{sum[i]} + kRidge * head[i];
      loss += kRidge / 2 * head[i] * head[i];
    }
    slope.back() = pull_on_bias;
    return loss;
  }

 private:
  struct Group {
    std::span<const float> rows;
    std::span<const double> shares;  // of the weight, for each row; empty: all of it
    double sign, weight;             // weight: of one row
  };
  std::size_t dimensions_;
  std::array<Group, 3> groups_;
};

// L-BFGS (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4): the descent direction from the curvature of
// the last steps.
class Curvature {
 public:
  Vector way_down(Vector slope) const {
    std::vector<double> along;
    for (auto pair = pairs_.rbegin(); pair != pairs_.rend(); ++pair) {
      along.push_back(dot(pair->step, slope) / pair->product);
      add(slope, -along.back(), pair->change);
    }
    if (!pairs_.empty()) {
      const Pair& last = pairs_.back();
      const double scale = last.product / dot(last.change, last.change);
      for (double& value : slope) value *= scale;
    }
    for (const Pair& pair : pairs_) {
      add(slope, along.back() - dot(pair.change, slope) / pair.product, pair.step);
      along.pop_back();
    }
    for (double& value : slope) value = -value;
    return slope;
  }

  void learn(Vector step, Vector change) {
    const double product = dot(step, change);
    if (!(product > 1e-12 * dot(change, change))) return;
    pairs_.push_back({std::move(step), std::move(change), product});
    if (pairs_.size() > kMemory) pairs_.pop_front();
  }

  static void add(Vector& to, double factor, const Vector& what) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * what[i];
  }

 private:
  struct Pair {
    Vector step, change;
    double product;  // of the two
  };
  std::deque<Pair> pairs_;
};

// The minimum of the loss, which is convex.
Vector minimise(const Loss& loss, std::size_t size) {
  Vector head(size), slope(size), next(size), next_slope(size);
  double value = loss.at(head, slope);
  Curvature curvature;
  for (int step = 0; step < kMostSteps && std::sqrt(dot(slope, slope)) > kSmallGradient; ++step) {
    const Vector way = curvature.way_down(slope);
    const double descent = dot(way, slope);
    double length = 1, next_value = 0;
    constexpr double kShortest = 1e-10;
    while (length > kShortest) {
      next = head;
      Curvature::add(next, length, way);
      next_value = loss.at(next, next_slope);
      if (next_value <= value + 1e-4 * length * descent) break;
      length /= 2;
    }
    if (!(length > kShortest)) break;  // minimal within rounding
    Vector moved = next, change = next_slope;
    Curvature::add(moved, -1, head);
    Curvature::add(change, -1, slope);
    curvature.learn(std::move(moved), std::move(change));
    head.swap(next);
    slope.swap(next_slope);
    value = next_value;
  }
  return head;
}

// The mean cosine to the examples, of the library and of the examples themselves.
struct Nearness {
  double at_large, examples;
};
Nearness nearness_of(std::vector<double> background, std::span<const float> mean, double examples) {
  const auto quantile =
      background.begin() + static_cast<std::ptrdiff_t>(kAtLarge * static_cast<double>(background.size()));
  std::nth_element(background.begin(), quantile, background.end());
  const auto between = [&](double part) { return *quantile + part * (1 - *quantile); };
  if (examples < 2) return {*quantile, between(kUsualNearness)};
  // The mean of all pairs' cosines, without a row paired with itself.
  const double with_self = dot(mean, mean) * examples * examples;
  return {*quantile, std::max(between(kLeastNearness), (with_self - examples) / (examples * (examples - 1)))};
}

// Rows as near to the examples as those are to each other, and not rejected by the person, may well belong to the
// class: in a small library up to half. With full weight the head would separate them from the examples one by one, by
// chance.
std::vector<double> background_shares(const TrainingSet& set) {
  const std::size_t dimensions = set.dimensions, rows = set.background.size() / dimensions;
  if (rows == 0) return {};
  const std::size_t examples = set.positive.size() / dimensions;
  std::vector<float> mean(dimensions);
  for (std::size_t i = 0; i < set.positive.size(); ++i)
    mean[i % dimensions] += set.positive[i] / static_cast<float>(examples);
  std::vector<double> near(rows);
  for (std::size_t row = 0; row < rows; ++row)
    near[row] = dot(std::span(set.background).subspan(row * dimensions, dimensions), mean);
  const Nearness known = nearness_of(near, mean, static_cast<double>(examples));
  const double least =
      std::max(known.at_large + kAlike * (known.examples - known.at_large), 1 - kFarther * (1 - known.examples));
  const auto alike = static_cast<double>(std::ranges::count_if(near, [&](double value) { return value >= least; }));
  const double share = std::min(
      {1.0, kMostAlike * static_cast<double>(rows) / std::max(1.0, alike), kMostOfOne / background_weight(set)});
  for (double& value : near) value = value >= least ? share : 1;
  return near;
}

Status check_rows(const std::vector<float>& rows, std::size_t dimensions, const char* what) {
  if (rows.size() % dimensions != 0)
    return fail(ErrorCode::kInvalidArgument,
                std::string("the ") + what + " examples are not of " + std::to_string(dimensions) + " numbers each");
  // Embeddings have length 1; rejects rows far from that.
  if (!std::ranges::all_of(rows, [](float value) { return std::abs(value) <= 2; }))
    return fail(ErrorCode::kInvalidArgument,
                std::string("the ") + what + " examples have values that are not from an embedding");
  return {};
}

}  // namespace

float LinearHead::confidence(std::span<const float> embedding) const {
  if (embedding.size() != weights.size()) return 0;
  return static_cast<float>(logistic(dot(embedding, weights) + double{bias}));
}

Result<LinearHead> train(const TrainingSet& set) {
  if (set.dimensions == 0) return fail(ErrorCode::kInvalidArgument, "embeddings have no dimensions");
  IE_CHECK(check_rows(set.positive, set.dimensions, "positive"));
  IE_CHECK(check_rows(set.negative, set.dimensions, "negative"));
  IE_CHECK(check_rows(set.background, set.dimensions, "background"));
  if (set.positive.empty()) return fail(ErrorCode::kInvalidArgument, "a label needs at least one example");
  const std::vector<double> shares = background_shares(set);
  const Vector head = minimise(Loss(set, shares), set.dimensions + 1);
  return LinearHead{{head.begin(), head.end() - 1}, static_cast<float>(head.back())};
}

}  // namespace image_engine::search
