#include "video/assignment.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace image_engine::video {
namespace {

// Of each row its column: the least sum of costs. Rows are no more than columns. Shortest augmenting paths with
// potentials (Jonker and Volgenant 1987).
std::vector<std::size_t> cheapest_columns(const std::vector<double>& costs, std::size_t rows, std::size_t columns) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  // Number `columns` is a column that does not exist: a path begins there.
  std::vector<std::size_t> row_of(columns + 1, rows), before(columns + 1);
  std::vector<double> row_potential(rows + 1), column_potential(columns + 1), distance(columns + 1);
  std::vector<char> reached(columns + 1);
  for (std::size_t begin = 0; begin < rows; ++begin) {
    std::ranges::fill(distance, kFar);
    std::ranges::fill(reached, 0);
    std::size_t column = columns;
    for (row_of[column] = begin; row_of[column] < rows;) {
      reached[column] = 1;
      const std::size_t row = row_of[column];
      std::size_t nearest = columns;
      for (std::size_t next = 0; next < columns; ++next) {
        if (reached[next]) continue;
        const double to = costs[row * columns + next] - row_potential[row] - column_potential[next];
        if (to < distance[next]) distance[next] = to, before[next] = column;
        if (nearest == columns || distance[next] < distance[nearest]) nearest = next;
      }
      const double step = distance[nearest];
      for (std::size_t next = 0; next <= columns; ++next) {
        if (reached[next])
          row_potential[row_of[next]] += step, column_potential[next] -= step;
        else if (next < columns)
          distance[next] -= step;
      }
      column = nearest;
    }
    for (; column != columns; column = before[column]) row_of[column] = row_of[before[column]];
  }
  std::vector<std::size_t> column_of(rows);
  for (std::size_t column = 0; column < columns; ++column)
    if (row_of[column] < rows) column_of[row_of[column]] = column;
  return column_of;
}

// Sets that are joined; a set goes by one of its members.
class Sets {
 public:
  explicit Sets(std::size_t count) : parents_(count) { std::iota(parents_.begin(), parents_.end(), std::size_t{0}); }
  std::size_t of(std::size_t member) {
    while (parents_[member] != member) member = parents_[member] = parents_[parents_[member]];
    return member;
  }
  void join(std::size_t a, std::size_t b) { parents_[of(a)] = of(b); }

 private:
  std::vector<std::size_t> parents_;
};

// The numbers that occur, ascending: a number's position is its number within the group.
std::vector<std::uint32_t> numbers_of(std::span<const Candidate> group, std::uint32_t Candidate::*side) {
  std::vector<std::uint32_t> numbers;
  for (const Candidate& candidate : group) numbers.push_back(candidate.*side);
  std::ranges::sort(numbers);
  numbers.erase(std::ranges::unique(numbers).begin(), numbers.end());
  return numbers;
}

void add_pairs_of(std::span<const Candidate> group, std::vector<std::pair<std::uint32_t, std::uint32_t>>& pairs) {
  auto few_side = &Candidate::row, many_side = &Candidate::column;
  std::vector<std::uint32_t> few = numbers_of(group, few_side), many = numbers_of(group, many_side);
  if (few.size() > many.size()) std::swap(few, many), std::swap(few_side, many_side);
  const auto position = [](const std::vector<std::uint32_t>& numbers, std::uint32_t number) {
    return static_cast<std::size_t>(std::ranges::lower_bound(numbers, number) - numbers.begin());
  };
  // A pair that is no candidate costs nothing: it stands for two that go with nobody.
  std::vector<double> costs(few.size() * many.size());
  for (const Candidate& candidate : group) {
    double& cost = costs[position(few, candidate.*few_side) * many.size() + position(many, candidate.*many_side)];
    cost = std::min(cost, -candidate.gain);
  }
  const std::vector<std::size_t> chosen = cheapest_columns(costs, few.size(), many.size());
  for (std::size_t i = 0; i < few.size(); ++i) {
    if (costs[i * many.size() + chosen[i]] >= 0) continue;
    const auto pair = std::pair(few[i], many[chosen[i]]);
    pairs.push_back(few_side == &Candidate::row ? pair : std::pair(pair.second, pair.first));
  }
}

}  // namespace

std::vector<std::pair<std::uint32_t, std::uint32_t>> best_pairs(std::span<const Candidate> candidates) {
  std::size_t rows = 0, columns = 0;
  for (const auto& [row, column, gain] : candidates) {
    rows = std::max<std::size_t>(rows, row + std::size_t{1});
    columns = std::max<std::size_t>(columns, column + std::size_t{1});
  }
  Sets sets(rows + columns);
  for (const auto& [row, column, gain] : candidates)
    if (gain > 0) sets.join(row, rows + column);
  std::map<std::size_t, std::vector<Candidate>> groups;
  for (const Candidate& candidate : candidates)
    if (candidate.gain > 0) groups[sets.of(candidate.row)].push_back(candidate);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs;
  for (const auto& [set, group] : groups) add_pairs_of(group, pairs);
  std::ranges::sort(pairs);
  return pairs;
}

}  // namespace image_engine::video
