#include "search/linear_head.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <numeric>
#include <string>

namespace image_engine::search {
namespace {

// All of the positive rows weigh 1 together, and so do the negative ones that a person gave, unless they are fewer:
// then each weighs as much as a positive. All of the background weighs up to 2, whatever its size, so that what looks
// half like the examples and half like the library is none, while the few rows in there that belong to the class change
// little. One example says least of how far its class reaches: the background then weighs 1.
// With kRidge found on planted clusters with a common direction, as CLIP's vectors have (512 dimensions, 50 clusters).
constexpr double kBackground = 2;
constexpr double kRidge = 0.003;

constexpr int kMostSteps = 200;
constexpr std::size_t kMemory = 10;      // pairs kept, as is usual
constexpr double kSmallGradient = 1e-5;  // confidences are sure to about as much

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

// Sums in lanes, which the compiler can keep in one register; always in the same order.
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

// The weighted loss of a head [weights…, bias] and its slope.
class Loss {
 public:
  explicit Loss(const TrainingSet& set) : dimensions_(set.dimensions) {
    const auto rows = [&](const std::vector<float>& values) {
      return static_cast<double>(values.size() / dimensions_);
    };
    const double positive = rows(set.positive), background = kBackground * positive / (positive + 1);
    groups_ = {{{set.positive, 1, 1 / positive},
                {set.negative, -1, 1 / std::max(positive, rows(set.negative))},
                {set.background, -1, background / std::max(1.0, rows(set.background))}}};
  }

  double at(const Vector& head, Vector& slope) const {
    const std::vector<float> weights(head.begin(), head.end() - 1);
    std::vector<float> sum(dimensions_);  // of rows by their pull
    double loss = 0, pull_on_bias = 0;
    for (const Group& group : groups_)
      for (std::size_t from = 0; from < group.rows.size(); from += dimensions_) {
        const auto row = group.rows.subspan(from, dimensions_);
        const double margin = group.sign * (dot(row, weights) + head.back());
        loss += group.weight * (std::max(0.0, -margin) + std::log1p(std::exp(-std::abs(margin))));
        const double pull = -group.sign * group.weight * logistic(-margin);
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
    double sign, weight;  // weight: of one row
  };
  std::size_t dimensions_;
  std::array<Group, 3> groups_;
};

// L-BFGS (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4): the way down by what the last steps showed
// of the curvature.
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

// The least loss: it is convex, so there is one.
Vector minimise(const Loss& loss, std::size_t size) {
  Vector head(size), slope(size), next(size), next_slope(size);
  double value = loss.at(head, slope);
  Curvature curvature;
  for (int step = 0; step < kMostSteps && std::sqrt(dot(slope, slope)) > kSmallGradient; ++step) {
    const Vector way = curvature.way_down(slope);
    const double descent = dot(way, slope);
    double length = 1, next_value = 0;
    constexpr double kShortest = 1e-10;
    for (; length > kShortest; length /= 2) {
      next = head;
      Curvature::add(next, length, way);
      next_value = loss.at(next, next_slope);
      if (next_value <= value + 1e-4 * length * descent) break;
    }
    if (!(length > kShortest)) break;  // as low as these numbers tell
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

Status check_rows(const std::vector<float>& rows, std::size_t dimensions, const char* what) {
  if (rows.size() % dimensions != 0)
    return fail(ErrorCode::kInvalidArgument,
                std::string("the ") + what + " examples are not of " + std::to_string(dimensions) + " numbers each");
  // Lengths are 1; what is far from that is no embedding.
  if (!std::ranges::all_of(rows, [](float value) { return std::abs(value) <= 2; }))
    return fail(ErrorCode::kInvalidArgument,
                std::string("the ") + what + " examples hold values that are none of an embedding");
  return {};
}

}  // namespace

float LinearHead::confidence(std::span<const float> embedding) const {
  return static_cast<float>(logistic(dot(embedding, weights) + double{bias}));
}

Result<LinearHead> train(const TrainingSet& set) {
  if (set.dimensions == 0) return fail(ErrorCode::kInvalidArgument, "embeddings have no dimensions");
  IE_CHECK(check_rows(set.positive, set.dimensions, "positive"));
  IE_CHECK(check_rows(set.negative, set.dimensions, "negative"));
  IE_CHECK(check_rows(set.background, set.dimensions, "background"));
  if (set.positive.empty()) return fail(ErrorCode::kInvalidArgument, "a label needs at least one example");
  const Vector head = minimise(Loss(set), set.dimensions + 1);
  return LinearHead{{head.begin(), head.end() - 1}, static_cast<float>(head.back())};
}

}  // namespace image_engine::search
