// Which of many time ranges overlap a given one.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace image_engine::store {

struct TimeRange {
  double from = 0, to = 0;  // seconds, `to` exclusive
};

// Built once in n log n; a question costs log n and the ranges that it finds, however long some of the others are.
class Overlaps {
 public:
  explicit Overlaps(const std::vector<TimeRange>& ranges);
  // The numbers of the ranges that overlap this one, ascending.
  [[nodiscard]] std::vector<std::size_t> with(const TimeRange& range) const;
  [[nodiscard]] bool any(const TimeRange& range) const;

 private:
  // A balanced tree over ranges sorted by `from`: the middle of each part is its root.
  struct Node {
    TimeRange range;
    std::size_t number = 0;
    double latest = 0;  // the latest end in its part
  };
  double measure(std::size_t begin, std::size_t end);
  // Calls `found(number)` until that returns false; false then.
  template <typename Found>
  bool visit(std::size_t begin, std::size_t end, const TimeRange& range, const Found& found) const;

  std::vector<Node> nodes_;
};

}  // namespace image_engine::store
