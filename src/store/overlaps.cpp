#include "store/overlaps.h"

#include <algorithm>
#include <limits>

namespace image_engine::store {

Overlaps::Overlaps(const std::vector<TimeRange>& ranges) {
  nodes_.reserve(ranges.size());
  for (const TimeRange& range : ranges) nodes_.push_back({range, nodes_.size(), range.to});
  std::ranges::stable_sort(nodes_, {}, [](const Node& node) { return node.range.from; });
  measure(0, nodes_.size());
}

double Overlaps::measure(std::size_t begin, std::size_t end) {
  if (begin == end) return std::numeric_limits<double>::lowest();
  const std::size_t middle = begin + (end - begin) / 2;
  Node& root = nodes_[middle];
  root.latest = std::max({root.range.to, measure(begin, middle), measure(middle + 1, end)});
  return root.latest;
}

template <typename Found>
bool Overlaps::visit(std::size_t begin, std::size_t end, const TimeRange& range, const Found& found) const {
  if (begin == end) return true;
  const std::size_t middle = begin + (end - begin) / 2;
  const Node& root = nodes_[middle];
  if (root.latest <= range.from) return true;
  if (!visit(begin, middle, range, found)) return false;
  if (root.range.from >= range.to) return true;
  if (root.range.to > range.from && !found(root.number)) return false;
  return visit(middle + 1, end, range, found);
}

std::vector<std::size_t> Overlaps::with(const TimeRange& range) const {
  std::vector<std::size_t> numbers;
  visit(0, nodes_.size(), range, [&](std::size_t number) {
    numbers.push_back(number);
    return true;
  });
  std::ranges::sort(numbers);
  return numbers;
}

bool Overlaps::any(const TimeRange& range) const {
  return !visit(0, nodes_.size(), range, [](std::size_t) { return false; });
}

}  // namespace image_engine::store
