// Vectors of halves, and what must be found among them by a plain reference: halves read by the definition of binary16,
// sums in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "store/catalogue.h"
#include "types/half.h"
#include "vision/embedder.h"

namespace image_engine::search {

using Half = std::vector<std::uint16_t>;

inline double number_of(std::uint16_t half) {
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  const double sign = (half & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return std::numeric_limits<double>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

inline double reference_cosine(const Half& row, const std::vector<float>& query) {
  double sum = 0;
  for (std::size_t i = 0; i < query.size(); ++i) sum += number_of(row[i]) * query[i];
  return std::isfinite(sum) ? sum : -1;
}

inline std::vector<float> random_direction(std::mt19937& random, std::size_t dimensions) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimensions);
  double length = 0;
  for (float& number : vector) {
    number = normal(random);
    length += double{number} * double{number};
  }
  for (float& number : vector) number = static_cast<float>(number / std::sqrt(length));
  return vector;
}

inline Half random_half(std::mt19937& random, std::size_t dimensions) {
  return to_half(random_direction(random, dimensions));
}

struct Expected {
  store::AssetId asset;
  double cosine;
};

inline std::vector<Expected> brute_force(const std::map<store::AssetId, Half>& rows, const std::vector<float>& query,
                                         const store::IdSet* allowed) {
  std::vector<Expected> all;
  for (const auto& [asset, row] : rows)
    if (allowed == nullptr || allowed->contains(asset)) all.push_back({asset, reference_cosine(row, query)});
  std::ranges::stable_sort(all, [](const Expected& a, const Expected& b) { return a.cosine > b.cosine; });
  return all;
}

}  // namespace image_engine::search
